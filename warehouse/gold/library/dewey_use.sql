-- title: Use of each Dewey class
-- grain: one row a branch and Dewey class in hundreds
-- key: branch_code, dewey_class
-- access: branch=branch_code
-- description: Turnover, relative use and dead stock of each Dewey class (KPIS 3 to 6). Copies without a Dewey number are left out, also from the shares. Copies and their loans count for the branch that the copies belong to.
-- column branch_code: Branch that the copies belong to
-- column dewey_class: Dewey class in hundreds, 0 to 900
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
    s.branch_code,
    s.part::integer as dewey_class,
    s.holdings,
    s.circulation,
    s.renewals,
    s.turnover,
    s.share_holdings,
    s.share_circulation,
    s.relative_use,
    s.used_1y,
    s.used_3y,
    s.used_5y,
    s.never_used,
    s.arrived_1y_2y,
    s.dead_on_arrival,
    s.as_of_on
from gold.library_stock_use s
where s.division = 'dewey'
