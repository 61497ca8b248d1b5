-- title: Sales by country
-- description: Revenue of each country and its share, over all days
select
    b.value as country,
    sum(b.sales) as sales,
    sum(b.gross) as gross,
    sum(b.net) as net,
    round(100 * sum(b.net) / nullif(sum(sum(b.net)) over (), 0), 1) as per_cent
from silver.retail_sales_by b
where b.dimension = 'country'
group by b.value
order by net desc, b.value
