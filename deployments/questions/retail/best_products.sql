-- title: Best-selling products
-- description: Products by net revenue, on so many days up to the newest
-- parameter days: integer = 30: Days up to the newest
select
    b.value as stock_code,
    sum(b.pieces) as pieces,
    sum(b.gross) as gross,
    sum(b.net) as net,
    sum(b.cancelled) as cancelled
from silver.retail_sales_by b
where b.dimension = 'stock_code'
    and b.day > (
        select max(day) from silver.retail_sales_by where dimension = 'total'
    ) - %(days)s::integer
group by b.value
order by net desc, b.value
