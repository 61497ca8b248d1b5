-- title: Circulation by kind of material
-- description: What is lent: checkouts by kind of material and their share, on so many days
-- parameter days: integer = 90: Days up to the newest
select
    k.item_type,
    sum(k.checkouts) as checkouts,
    round(100.0 * sum(k.checkouts) / nullif(sum(sum(k.checkouts)) over (), 0), 1) as per_cent
from gold.library_circulation_kinds k
where k.day > (select max(day) from gold.library_circulation_kinds) - %(days)s::integer
group by k.item_type
order by checkouts desc
