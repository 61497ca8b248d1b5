-- title: Circulation by branch
-- description: Checkouts, renewals and returns of each branch, on so many days up to the newest
-- parameter days: integer = 30: Days, the newest one included
select
    c.branch_code,
    n.name,
    sum(c.checkouts) as checkouts,
    sum(c.renewals) as renewals,
    sum(c.returns) as returns
from gold.library_circulation c
left join gold.library_branch_names n on n.branch_code = c.branch_code
where c.day > (select max(day) from gold.library_circulation) - %(days)s::integer
group by c.branch_code, n.name
order by checkouts desc, c.branch_code
