-- title: Use of each part of the stock
-- grain: one row a branch, division of the stock, and part of it
-- key: branch_code, division, part
-- access: branch=branch_code
-- description: What gold.library_collection_use and gold.library_dewey_use show, computed once. Shares are those of the branch within the division; copies without a Dewey number are in no part of that division.
-- column branch_code: Branch that the copies belong to
-- column division: How the stock is divided: collection or dewey
-- column part: The collection, or the Dewey class in hundreds
-- column holdings: Copies held on as_of_on, withdrawn ones not counted
-- column circulation: Checkouts of these copies, and of copies withdrawn since, on the 365 days that end on as_of_on; renewals excluded (KPIS 1)
-- column renewals: Renewals on the same days, for total circulation
-- column turnover: circulation / holdings, loans a copy a year; compare collections, and years rather than months (KPIS 3, Montana State Library)
-- column share_holdings: Share of the branch's holdings, 0 to 1
-- column share_circulation: Share of the branch's circulation, 0 to 1
-- column relative_use: share_circulation / share_holdings; above 1 grow, below 1 weed or promote (KPIS 4)
-- column used_1y: Copies held whose last checkout is at most 1 year before as_of_on (KPIS 5)
-- column used_3y: Copies held whose last checkout is at most 3 years before as_of_on (KPIS 5)
-- column used_5y: Copies held whose last checkout is at most 5 years before as_of_on (KPIS 5)
-- column never_used: Copies held without a checkout on record (KPIS 5)
-- column arrived_1y_2y: Copies held that were added one to two years before as_of_on
-- column dead_on_arrival: Of these, the copies with at most one checkout (KPIS 6, Minuteman)
-- column as_of_on: Day of the newest loan event
select
    g.branch_code,
    g.division,
    g.part,
    g.holdings,
    g.circulation,
    g.renewals,
    round(g.circulation::numeric / nullif(g.holdings, 0), 4) as turnover,
    round(g.holdings / nullif(sum(g.holdings) over branch, 0), 6) as share_holdings,
    round(g.circulation / nullif(sum(g.circulation) over branch, 0), 6) as share_circulation,
    round(
        g.circulation * sum(g.holdings) over branch
        / nullif(g.holdings * sum(g.circulation) over branch, 0),
        4
    ) as relative_use,
    g.used_1y,
    g.used_3y,
    g.used_5y,
    g.never_used,
    g.arrived_1y_2y,
    g.dead_on_arrival,
    g.as_of_on
from (
    select
        u.branch_code,
        d.division,
        d.part,
        count(*) filter (where u.is_held) as holdings,
        sum(u.checkouts_365_days) as circulation,
        sum(u.renewals_365_days) as renewals,
        count(*) filter (
            where u.is_held and u.last_checkout_on >= u.as_of_on - interval '1 year'
        ) as used_1y,
        count(*) filter (
            where u.is_held and u.last_checkout_on >= u.as_of_on - interval '3 years'
        ) as used_3y,
        count(*) filter (
            where u.is_held and u.last_checkout_on >= u.as_of_on - interval '5 years'
        ) as used_5y,
        count(*) filter (where u.is_held and u.checkouts = 0) as never_used,
        count(*) filter (
            where u.is_held
            and u.acquired_on > u.as_of_on - interval '2 years'
            and u.acquired_on <= u.as_of_on - interval '1 year'
        ) as arrived_1y_2y,
        count(*) filter (
            where u.is_held and u.checkouts <= 1
            and u.acquired_on > u.as_of_on - interval '2 years'
            and u.acquired_on <= u.as_of_on - interval '1 year'
        ) as dead_on_arrival,
        max(u.as_of_on) as as_of_on
    from gold.library_item_use u
    cross join lateral (
        values ('collection', u.collection_code), ('dewey', u.dewey_class::text)
    ) d (division, part)
    where d.part is not null
    group by u.branch_code, d.division, d.part
) g
window branch as (partition by g.branch_code, g.division)
