-- title: Busiest hours
-- description: Activities at the desks by weekday and hour, an average over so many weeks
-- parameter weeks: integer = 8: Weeks up to the newest day
select
    to_char(c.day, 'FMDay') as weekday,
    c.hour,
    round(
        sum(c.checkouts + c.renewals + c.returns + c.in_house_uses)::numeric
        / greatest(count(distinct c.day), 1), 1
    ) as activities_a_day
from gold.library_circulation c
where c.day > (select max(day) from gold.library_circulation) - 7 * %(weeks)s::integer
group by 1, 2, extract(isodow from c.day)
order by activities_a_day desc, extract(isodow from c.day), c.hour
