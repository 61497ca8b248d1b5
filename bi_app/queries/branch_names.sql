-- Names of the branches that are asked for, by name.
select c.branch_code, coalesce(n.name, c.branch_code) as name
from unnest(%(codes)s::text[]) c (branch_code)
left join gold.library_branch_names n using (branch_code)
order by name, c.branch_code
