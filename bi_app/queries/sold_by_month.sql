-- What was sold by month and country, product, or in all: what cancellations are a share of.
select
    dimension, value, date_trunc('month', day)::date as month,
    sum(gross)::float8 as gross, sum(cancelled)::float8 as cancelled
from silver.retail_sales_by
where dimension in ('total', 'country', 'stock_code')
group by 1, 2, 3
having sum(gross) <> 0 or sum(cancelled) <> 0
