-- title: Fines owed by age
-- grain: one row a branch and number of months
-- key: branch_code, months
-- access: branch=branch_code
-- description: What is still owed for a loan: charged less paid and waived, where that is more than nothing, by the age of the first charge (KPIS 22). It sums and names no one.
-- column branch_code: Branch where the copy was returned
-- column months: Whole months from the first charge to as_of_on
-- column owed: Sum still owed, in the library's currency
-- column loans: Loans for which it is owed
-- column as_of_on: Day of the newest loan event, or of the newest entry if that is later
with newest as (
    select greatest(
        (select max(c.day) from gold.library_circulation c),
        (select max(f.charged_at)::date from silver.library_fines f)
    ) as day
)
select
    b.branch_code,
    (extract(year from age(newest.day, b.first_on)) * 12
        + extract(month from age(newest.day, b.first_on)))::integer as months,
    sum(b.owed) as owed,
    count(*)::integer as loans,
    newest.day as as_of_on
from (
    select
        min(f.branch_code) as branch_code,
        min(f.charged_at)::date as first_on,
        sum(case when f.kind = 'charged' then f.amount else -f.amount end) as owed
    from silver.library_fines f
    group by f.source_code, coalesce(f.loan_id, f.fine_id)
    having sum(case when f.kind = 'charged' then f.amount else -f.amount end) > 0
) b
cross join newest
group by 1, 2, newest.day
