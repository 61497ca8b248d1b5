-- title: Customers by month of their first order
-- grain: one row a month and cohort
-- key: month, dimension, category
-- access: staff
-- lattice: block=month, margin=dimension, cell=category, count=customers, bound=size
-- description: Customers who ordered in each whole month, by the month of their first order on record. Orders are invoices that sell; customers are pseudonyms, and sales without one are not in it. Counts of fewer people than the setting suppress_below are withheld, with others that would give them away; a month is told once, a week after its end, and stays as it was told (docs/suppression.md).
-- column month: First day of the month
-- column dimension: all or cohort
-- column category: First day of the month of the first order; earlier: before the cohorts that are told; all
-- column customers: Customers with an order in the month; null where withheld
-- column size: Of a cohort, all its customers; null elsewhere, and where they are few
with orders as (
    select o.customer_key, date_trunc('month', o.day)::date as month
    from silver.retail_sales_orders o
    where o.sales > 0 and o.customer_key is not null
    group by 1, 2
),
months as (
    select m::date as month
    from (select min(o.month) as first, max(t.told_to) as told_to from orders o
        cross join silver.retail_sales_analysed t) s
    cross join lateral generate_series(s.first, s.told_to, '1 month') m
    where m + interval '1 month 7 days' <= s.told_to and {{new(m::date)}}
),
people as (
    select o.customer_key, min(o.month) as joined
    from orders o
    group by o.customer_key
),
sizes as (
    select p.joined, count(*)::integer as size
    from people p
    group by p.joined
),
cells as (
    select m.month, 'all' as dimension, 'all' as category, null::integer as size from months m
    union all
    select m.month, 'cohort', 'earlier', null from months m
    union all
    select m.month, 'cohort', to_char(s.joined, 'YYYY-MM-DD'), s.size
    from months m
    join sizes s on s.joined <= m.month
        and s.joined > m.month - make_interval(months => {{given(retail_sales.cohorts)}})
),
counted as (
    select o.month, d.dimension, d.category, count(*)::integer as customers
    from months m
    join orders o using (month)
    join people p using (customer_key)
    cross join lateral (
        values
            ('all', 'all'),
            ('cohort', case
                when p.joined > o.month - make_interval(months => {{given(retail_sales.cohorts)}})
                    then to_char(p.joined, 'YYYY-MM-DD')
                else 'earlier'
            end)
    ) d (dimension, category)
    group by o.month, d.dimension, d.category
)
select c.month, c.dimension, c.category, coalesce(n.customers, 0) as customers, c.size
from cells c
left join counted n using (month, dimension, category)
