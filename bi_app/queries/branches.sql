-- The branches whose circulation the viewer sees, by name.
select c.branch_code, coalesce(n.name, c.branch_code) as name
from (select distinct branch_code from {circulation}) c
left join gold.library_branch_names n using (branch_code)
order by name, c.branch_code
