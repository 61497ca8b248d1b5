-- title: Sales by hour of the day
-- description: When the shop sells: lines, net revenue and its share by hour, over all days
select
    b.value as hour,
    sum(b.sales) as sales,
    sum(b.net) as net,
    round(100 * sum(b.net) / nullif(sum(sum(b.net)) over (), 0), 1) as per_cent
from silver.retail_sales_by b
where b.dimension = 'hour'
group by b.value
order by b.value
