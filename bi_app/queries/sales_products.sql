-- The products with most of a figure in a period, and in the one before.
with sums as (
    select
        value,
        sum(gross) filter (where day >= %(start)s) as gross,
        sum(cancelled) filter (where day >= %(start)s) as cancelled,
        sum(net) filter (where day >= %(start)s) as net,
        sum(pieces) filter (where day >= %(start)s) as pieces,
        sum({figure}) filter (where day < %(start)s) as before
    from silver.retail_sales_by
    where dimension = 'stock_code' and day between %(before)s and %(end)s
    group by value
)
select
    s.value as code, coalesce(p.name, s.value) as name, s.{figure}::float8 as value,
    s.gross::float8 as gross, s.cancelled::float8 as cancelled, s.pieces::float8 as pieces,
    s.before::float8 as before
from sums s
left join gold.retail_products p on p.stock_code = s.value
where s.gross is not null
order by s.{figure} desc, s.value
limit %(most)s
