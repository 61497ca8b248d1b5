-- title: Loans that are out
-- grain: one row a branch, kind of material and number of days overdue
-- key: branch_code, item_type, days_overdue
-- access: branch=branch_code
-- description: Loans that have not come back by as_of_on, by how long they are overdue (KPIS 22). It counts loans and names no one.
-- column branch_code: Branch that lent them
-- column item_type: Kind of material, or unknown
-- column days_overdue: Days from the due day to as_of_on; 0 where it has not passed, at most 400; -1 where it is not on record
-- column loans: Loans
-- column as_of_on: Day of the newest loan event
with newest as (select max(c.day) as day from gold.library_circulation c)
select
    l.branch_code,
    coalesce(i.item_type, 'unknown') as item_type,
    coalesce(least(greatest(newest.day - l.due_on, 0), 400), -1) as days_overdue,
    count(*)::integer as loans,
    newest.day as as_of_on
from (
    select
        e.source_code,
        e.loan_id,
        max(e.branch_code) filter (where e.kind = 'checkout') as branch_code,
        max(e.item_code) filter (where e.kind = 'checkout') as item_code,
        max(e.due_on) as due_on
    from silver.library_loan_events e
    where e.loan_id is not null
    group by e.source_code, e.loan_id
    having bool_or(e.kind = 'checkout') and not bool_or(e.kind = 'return')
) l
cross join newest
left join silver.library_items i on i.source_code = l.source_code and i.item_code = l.item_code
group by 1, 2, 3, newest.day
