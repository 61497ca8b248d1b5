-- Two products and in how many baskets both are; only of products that are in enough. DuckDB.
with enough as (
    select stock_code, (row_number() over (order by stock_code))::integer as code
    from basket_lines
    where not too_many
    group by stock_code
    having count(*) >= {least_baskets}
),
coded as (
    select b.basket::integer as basket, e.code
    from basket_lines b
    join enough e using (stock_code)
    where not b.too_many
),
counted as (
    select a.code as a, b.code as b, count(*) as baskets
    from coded a
    join coded b on a.basket = b.basket and a.code < b.code
    group by 1, 2
    having count(*) >= {least_baskets}
)
select x.stock_code as first, y.stock_code as second, c.baskets
from counted c
join enough x on x.code = c.a
join enough y on y.code = c.b
