-- title: Returns by lateness
-- grain: one row a branch, month, kind of material and number of days late
-- key: branch_code, month, item_type, days_late
-- access: branch=branch_code
-- refresh: month from library_loan_events
-- description: How late copies come back (KPIS 22): the day of the return less the day they were due. Returns whose due day is not on record are counted apart.
-- column branch_code: Branch where they were returned
-- column month: First day of the month
-- column item_type: Kind of material, or unknown
-- column days_late: Days after the due day; 0 on time, at most 400; -1 where the due day is not on record
-- column returns: Returns
select
    e.branch_code,
    date_trunc('month', e.occurred_at)::date as month,
    coalesce(i.item_type, 'unknown') as item_type,
    coalesce(least(greatest(e.occurred_at::date - e.due_on, 0), 400), -1) as days_late,
    count(*)::integer as returns
from silver.library_loan_events e
left join silver.library_items i on i.source_code = e.source_code and i.item_code = e.item_code
where e.kind = 'return' and {{days(e.occurred_at)}}
group by 1, 2, 3, 4
