-- title: Circulation by month
-- description: Checkouts, renewals and returns of your branches by month, the newest first
select
    date_trunc('month', c.day)::date as month,
    sum(c.checkouts) as checkouts,
    sum(c.renewals) as renewals,
    sum(c.returns) as returns,
    sum(c.in_house_uses) as in_house_uses
from gold.library_circulation c
group by 1
order by 1 desc
