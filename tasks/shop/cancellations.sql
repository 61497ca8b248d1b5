-- What became of each line that cancels. DuckDB; `found` holds number, outcome and sale.
select
    c.partition,
    c."offset",
    c.day,
    c.stock_code,
    c.country,
    -c.quantity as pieces,
    (-c.amount)::decimal(38, 4) as amount,
    f.outcome,
    date_diff('day', s.day, c.day)::integer as days_after
from found f
join lines c on c.number = f.number
left join lines s on s.number = f.sale
