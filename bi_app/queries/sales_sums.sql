-- Sums of the sales by day, of some dimensions. Amounts are doubles here: they are shown, not kept.
select
    dimension, day, value, lines::float8 as lines, sales::float8 as sales, pieces::float8 as pieces,
    gross::float8 as gross, cancellations::float8 as cancellations,
    cancelled::float8 as cancelled, net::float8 as net, nameless::float8 as nameless,
    restated_at
from silver.retail_sales_by
where dimension = any(%(dimensions)s::text[])
