-- title: Holds by day
-- grain: one row a branch and day on which a hold was placed
-- key: branch_code, placed_on
-- access: branch=branch_code
-- description: What has become of the holds placed on a day, as they stand now (KPIS 11 to 13). An active hold waits for a copy and is not put off.
-- column branch_code: Branch where the holds are to be collected
-- column placed_on: Day they were placed
-- column placed: Holds placed
-- column active: Of these, waiting and not put off
-- column frozen: Of these, waiting and put off by the member
-- column on_shelf: Of these, ready to be collected
-- column collected: Of these, collected
-- column expired: Of these, not collected in time
-- column cancelled: Of these, cancelled
-- column as_of_on: Day of the newest loan event, or of the newest hold if that is later
select
    h.branch_code,
    h.placed_at::date as placed_on,
    count(*)::integer as placed,
    (count(*) filter (where h.status = 'waiting' and not coalesce(h.frozen, false)))::integer
        as active,
    (count(*) filter (where h.status = 'waiting' and h.frozen))::integer as frozen,
    (count(*) filter (where h.status = 'on_shelf'))::integer as on_shelf,
    (count(*) filter (where h.status = 'collected'))::integer as collected,
    (count(*) filter (where h.status = 'expired'))::integer as expired,
    (count(*) filter (where h.status = 'cancelled'))::integer as cancelled,
    n.day as as_of_on
from silver.library_holds h
cross join (
    select greatest(
        (select max(c.day) from gold.library_circulation c),
        (select max(x.placed_at)::date from silver.library_holds x)
    ) as day
) n
group by h.branch_code, h.placed_at::date, n.day
