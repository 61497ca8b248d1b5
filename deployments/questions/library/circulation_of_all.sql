-- title: Circulation of all branches by day
-- description: What everyone who is signed in may see: checkouts and returns a day, the newest first
-- parameter days: integer = 14: Days, the newest one included
select
    c.day,
    to_char(c.day, 'FMDay') as weekday,
    sum(c.checkouts) as checkouts,
    sum(c.renewals) as renewals,
    sum(c.returns) as returns
from gold.library_circulation_public c
where c.day > (select max(day) from gold.library_circulation_public) - %(days)s::integer
group by c.day
order by c.day desc
