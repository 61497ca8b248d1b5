-- The viewer's own charges, payments and waivers, newest first.
select
    f.charged_at::date as day,
    f.kind,
    f.amount,
    coalesce(b.name, f.branch_code) as branch
from silver.library_fines f
left join gold.library_branch_names b on b.branch_code = f.branch_code
where f.member_key = %(member)s
order by f.charged_at desc
