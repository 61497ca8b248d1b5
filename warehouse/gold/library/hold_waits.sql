-- title: Waiting times of holds
-- grain: one row a branch, month and number of days
-- key: branch_code, month, wait_days
-- access: branch=branch_code
-- description: From the day a hold was placed to the day its copy came onto the hold shelf (KPIS 12), for holds that came so far, by the month in which they did. As counts of each number of days, so that medians can be taken over any of them. Holds placed before their title was held count from the day they were placed too, as pre-orders are not told apart.
-- column branch_code: Branch where the holds are to be collected
-- column month: First day of the month in which the copy came onto the shelf
-- column wait_days: Days waited
-- column holds: Holds that waited so long
select
    h.branch_code,
    date_trunc('month', h.shelved_at)::date as month,
    greatest(h.shelved_at::date - h.placed_at::date, 0) as wait_days,
    count(*)::integer as holds
from silver.library_holds h
where h.shelved_at is not null
group by 1, 2, 3
