-- title: Fines owed
-- description: What is still owed by branch, and how much of it for more than so many months
-- parameter months: integer = 6: Months that count as long
select
    f.branch_code,
    sum(f.owed) as owed,
    coalesce(sum(f.owed) filter (where f.months > %(months)s::integer), 0) as long_owed,
    max(f.as_of_on) as as_of_on
from gold.library_fines_owed f
group by f.branch_code
order by owed desc, f.branch_code
