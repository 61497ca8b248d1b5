-- title: Circulation by hour, all branches together
-- grain: one row a day and hour in which something happened
-- key: branch_code, day, hour
-- access: public
-- refresh: day from library_loan_events
-- description: The sums of gold.library_circulation over all branches, for everyone who is signed in. It counts events, not people.
-- column branch_code: Always all
-- column day: Day
-- column hour: Hour of the day, 0 to 23
-- column checkouts: Checkouts, renewals excluded: initial circulation (KPIS 1)
-- column renewals: Renewals (KPIS 1)
-- column returns: Returns (KPIS 2)
-- column in_house_uses: Copies found used in the house (KPIS 24)
select
    'all'::text as branch_code,
    c.day,
    c.hour,
    sum(c.checkouts)::integer as checkouts,
    sum(c.renewals)::integer as renewals,
    sum(c.returns)::integer as returns,
    sum(c.in_house_uses)::integer as in_house_uses
from gold.library_circulation c
where {{days(c.day)}}
group by c.day, c.hour
