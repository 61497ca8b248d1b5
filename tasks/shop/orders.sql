-- One row an invoice. DuckDB.
select
    invoice,
    max(customer_key) as customer_key,
    min(country) as country,
    min(day) as day,
    count(*) as lines,
    sum(sale::bigint)::bigint as sales,
    sum(case when sale then amount else 0 end)::decimal(38, 4) as gross,
    sum(amount)::decimal(38, 4) as net
from lines
group by invoice
