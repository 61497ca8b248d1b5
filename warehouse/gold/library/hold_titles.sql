-- title: Active holds of each title
-- grain: one row a branch and title with an active hold
-- key: branch_code, title_code
-- access: branch=branch_code
-- description: Where a title is waited for (KPIS 11). Copies and orders stand in gold.library_purchase_alert, over all branches.
-- column branch_code: Branch where the holds are to be collected
-- column title_code: Title, as source:number, as in gold.library_titles
-- column holds: Holds that wait and are not put off
-- column oldest_on: Day on which the oldest of them was placed
select
    h.branch_code,
    h.source_code || ':' || h.title_code as title_code,
    count(*)::integer as holds,
    min(h.placed_at)::date as oldest_on
from silver.library_holds h
where h.status = 'waiting' and not coalesce(h.frozen, false)
group by 1, 2
