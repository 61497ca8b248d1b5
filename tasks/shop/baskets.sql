-- Products of each basket, once: invoices of the window that sell. DuckDB.
create or replace temp table basket_lines as
with whole as (
    select distinct invoice, stock_code, day
    from lines
    where sale and product and day > (select max(day) from lines) - {window_days}
),
sizes as (select invoice, count(distinct stock_code) as many from whole group by invoice)
select
    dense_rank() over (order by w.invoice) as basket,
    w.stock_code,
    w.day,
    s.many > {most_products} as too_many
from whole w
join sizes s using (invoice)
where s.many > 1
