-- title: Customers by segment
-- grain: one row a month, dimension and category
-- key: month, dimension, category
-- access: staff
-- lattice: block=month, margin=dimension, cell=category, count=customers, along=orders+net, unsafe=unsafe
-- description: Customers who ordered in the window that ends with the month, by segment (the first rule of the stream's YAML that holds for their scores of recency, frequency and monetary value), by whether they ordered again, and by whether they lapsed. Counts of fewer people than the setting suppress_below are withheld, with others that would give them away, and with the sums of those; a month is told once, a week after its end, and stays as it was told (docs/suppression.md).
-- column month: First day of the month with which the window ends
-- column dimension: all, segment, orders or last
-- column category: Name of the segment; once or again; active or lapsed; all
-- column customers: Customers with an order in the window; null where withheld
-- column orders: Their orders; null where withheld
-- column net: What they spent, less what was taken back; null where withheld
with orders as (
    select o.customer_key, o.day, o.sales, o.net
    from silver.retail_sales_orders o
    where o.customer_key is not null
),
months as (
    select m::date as month, (m + interval '1 month')::date as until
    from (select date_trunc('month', min(o.day)) as first, max(t.told_to) as told_to from orders o
        cross join silver.retail_sales_analysed t) s
    cross join lateral generate_series(s.first, s.told_to, '1 month') m
    where m + interval '1 month 7 days' <= s.told_to and {{new(m::date)}}
),
people as (
    select
        m.month,
        o.customer_key,
        m.until - 1 - max(o.day) filter (where o.sales > 0) as days,
        count(*) filter (where o.sales > 0) as orders,
        sum(o.net) as net
    from months m
    join orders o on o.day < m.until
        and o.day >= m.until - {{given(retail_sales.rfm.window_days)}}
    group by m.month, m.until, o.customer_key
    having count(*) filter (where o.sales > 0) > 0
),
ranked as (
    select
        p.*,
        rank() over (partition by p.month order by p.days desc) - 1 as r_rank,
        rank() over (partition by p.month order by p.orders) - 1 as f_rank,
        rank() over (partition by p.month order by p.net) - 1 as m_rank,
        count(*) over (partition by p.month) as many
    from people p
),
scored as (
    select
        k.month,
        k.days,
        k.orders,
        k.net,
        coalesce(5 - width_bucket(k.days - 0.5, {{given(retail_sales.rfm.recency)}}),
            (1 + k.r_rank * 5 / k.many)::integer) as r,
        coalesce(1 + width_bucket(k.orders::numeric, {{given(retail_sales.rfm.frequency)}}),
            (1 + k.f_rank * 5 / k.many)::integer) as f,
        coalesce(1 + width_bucket(k.net, {{given(retail_sales.rfm.monetary)}}),
            (1 + k.m_rank * 5 / k.many)::integer) as m
    from ranked k
),
placed as (
    select s.month, s.orders, s.net, d.dimension, d.category
    from scored s
    cross join lateral (
        values
            ('all', 'all'),
            ('segment', {{given(retail_sales.rfm.named)}}),
            ('orders', case when s.orders > 1 then 'again' else 'once' end),
            ('last', case
                when s.days > {{given(retail_sales.rfm.lapsed_after_days)}} then 'lapsed'
                else 'active'
            end)
    ) d (dimension, category)
),
counted as (  -- unsafe: those from the third on made less than a tenth of what the first made
    select
        p.month,
        p.dimension,
        p.category,
        count(*)::integer as customers,
        sum(p.orders)::bigint as orders,
        sum(p.net) as net,
        sum(abs(p.net)) - coalesce((array_agg(abs(p.net) order by abs(p.net) desc))[1], 0)
            - coalesce((array_agg(abs(p.net) order by abs(p.net) desc))[2], 0)
            < 0.1 * (array_agg(abs(p.net) order by abs(p.net) desc))[1] as unsafe
    from placed p
    group by p.month, p.dimension, p.category
),
domains as (
    select 'all' as dimension, 'all' as category
    union all select 'segment', n.name from {{given(retail_sales.rfm.names)}} n (name)
    union all select v.d, v.c from (values ('orders', 'once'), ('orders', 'again'),
        ('last', 'active'), ('last', 'lapsed')) v (d, c)
)
select
    m.month,
    d.dimension,
    d.category,
    coalesce(n.customers, 0) as customers,
    coalesce(n.orders, 0) as orders,
    coalesce(n.net, 0) as net,
    coalesce(n.unsafe, false) as unsafe
from months m
cross join domains d
left join counted n using (month, dimension, category)
