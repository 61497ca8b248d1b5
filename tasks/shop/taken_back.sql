-- Lines that cancel, and those that sell to a customer what that customer cancelled. DuckDB.
with takers as (
    select distinct customer_key, stock_code from lines
    where cancelled and quantity < 0 and customer_key is not null
)
select number, customer_key, stock_code, epoch_us(sold_at) as at, abs(quantity) as pieces, cancelled
from lines
where cancelled and quantity < 0
union all
select number, customer_key, stock_code, epoch_us(sold_at), quantity, false
from lines
join takers using (customer_key, stock_code)
where sale
