-- Each product with its newest description, and in how many baskets it is. DuckDB.
with held as (
    select stock_code, count(*) as baskets from basket_lines where not too_many group by stock_code
),
named as (
    select
        stock_code,
        arg_max(description, sold_at) filter (where description is not null) as description
    from lines
    group by stock_code
)
select n.stock_code, n.description, coalesce(h.baskets, 0) as baskets
from named n
left join held h using (stock_code)
