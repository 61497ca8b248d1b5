-- title: Circulation by kind of material
-- grain: one row a branch, day, kind of material and Dewey class with an event
-- key: branch_code, day, item_type, dewey_class
-- access: branch=branch_code
-- refresh: day from library_loan_events
-- description: The counts of gold.library_circulation by what was lent (KPIS 1). An event of a copy that the catalogue does not know is of kind "unknown", so that the sums are those of gold.library_circulation.
-- column branch_code: Branch where it happened
-- column day: Day
-- column item_type: Kind of material, or unknown
-- column dewey_class: Dewey class in hundreds, as three digits; none for what is shelved otherwise, or unknown
-- column checkouts: Checkouts, renewals excluded: initial circulation (KPIS 1)
-- column renewals: Renewals (KPIS 1)
-- column returns: Returns (KPIS 2)
-- column in_house_uses: Copies found used in the house (KPIS 24)
select
    e.branch_code,
    e.occurred_at::date as day,
    coalesce(i.item_type, 'unknown') as item_type,
    coalesce(lpad(i.dewey_class::text, 3, '0'), 'none') as dewey_class,
    (count(*) filter (where e.kind = 'checkout'))::integer as checkouts,
    (count(*) filter (where e.kind = 'renewal'))::integer as renewals,
    (count(*) filter (where e.kind = 'return'))::integer as returns,
    (count(*) filter (where e.kind = 'in_house_use'))::integer as in_house_uses
from silver.library_loan_events e
left join silver.library_items i on i.source_code = e.source_code and i.item_code = e.item_code
where {{days(e.occurred_at)}}
group by 1, 2, 3, 4
