-- By day what is no sum of money: orders, events that came too late, and duplicates.
select 'orders' as kind, day, count(*) as events, null::bigint as folded
from silver.retail_sales_by_person
where dimension = 'order' and sales > 0
group by day
union all
select 'late', (sold_at at time zone %(zone)s)::date, count(*), count(folded_at)
from silver.retail_sales_late
group by 2
union all
select 'duplicates', day, events, null
from silver.retail_sales_duplicates
