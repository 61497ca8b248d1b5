-- title: Sales by day
-- description: Lines sold, gross and net revenue and cancellations a day, the newest first
-- parameter days: integer = 14: Days up to the newest
select b.day, to_char(b.day, 'FMDay') as weekday, b.sales, b.gross, b.net, b.cancelled, b.restated_at
from silver.retail_sales_by b
where b.dimension = 'total'
    and b.day > (
        select max(day) from silver.retail_sales_by where dimension = 'total'
    ) - %(days)s::integer
order by b.day desc
