-- Cancelled lines by month, country, product and outcome.
select
    c.month, c.country, c.stock_code, coalesce(p.name, c.stock_code) as name, c.outcome,
    c.lines, c.pieces, c.amount::float8 as amount, c.days_after
from gold.retail_cancellations c
left join gold.retail_products p using (stock_code)
