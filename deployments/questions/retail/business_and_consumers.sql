-- title: Business and consumers
-- description: Revenue by segment and month, the newest first
select
    date_trunc('month', b.day)::date as month,
    b.value as segment,
    sum(b.sales) as sales,
    sum(b.net) as net
from silver.retail_sales_by b
where b.dimension = 'segment'
group by 1, 2
order by 1 desc, 2
