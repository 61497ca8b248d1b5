-- title: Circulation by hour
-- grain: one row a branch, day and hour in which something happened
-- key: branch_code, day, hour
-- access: branch=branch_code
-- refresh: day from library_loan_events
-- description: Initial circulation counts checkouts with renewals excluded, as the annual surveys of ACRL, ARL and NCES ask; total circulation is checkouts + renewals (KPIS 1). Returns and in-house use are further activities of the desk (KPIS 2, 24). Local time of the library.
-- column branch_code: Branch where it happened
-- column day: Day
-- column hour: Hour of the day, 0 to 23; an hour from 10:00 to 10:59 is 10
-- column checkouts: Checkouts, renewals excluded: initial circulation (KPIS 1, after folio-analytics, acrl/circulation)
-- column renewals: Renewals, at the desk or at home (KPIS 1)
-- column returns: Returns (KPIS 2)
-- column in_house_uses: Copies found used in the house, scanned without a loan (KPIS 24)
select
    e.branch_code,
    e.at::date as day,
    extract(hour from e.at)::smallint as hour,
    coalesce(sum(e.events) filter (where e.kind = 'checkout'), 0)::integer as checkouts,
    coalesce(sum(e.events) filter (where e.kind = 'renewal'), 0)::integer as renewals,
    coalesce(sum(e.events) filter (where e.kind = 'return'), 0)::integer as returns,
    coalesce(sum(e.events) filter (where e.kind = 'in_house_use'), 0)::integer as in_house_uses
from (
    select
        e.branch_code,
        e.kind,
        date_trunc('hour', e.occurred_at) as at,
        count(*)::integer as events
    from silver.library_loan_events e
    where {{days(e.occurred_at)}}
    group by e.branch_code, e.kind, date_trunc('hour', e.occurred_at)
) e
group by e.branch_code, e.at
