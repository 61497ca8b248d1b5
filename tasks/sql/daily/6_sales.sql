-- title: Yesterday at the shop, and a week before
select
    f.figure,
    f.value,
    f.earlier,
    false as look,
    case when s.newest < %(yesterday)s::date then 'newest day: ' || s.newest else '' end as note
from (
    select
        max(day) as newest,
        coalesce(sum(sales) filter (where day = %(yesterday)s::date), 0) as sales,
        coalesce(sum(sales) filter (where day = %(yesterday)s::date - 7), 0) as sales_7,
        coalesce(sum(net) filter (where day = %(yesterday)s::date), 0) as net,
        coalesce(sum(net) filter (where day = %(yesterday)s::date - 7), 0) as net_7
    from silver.retail_sales_by
    where dimension = 'total'
) s
cross join lateral (
    values ('sales', s.sales, s.sales_7), ('net revenue', s.net, s.net_7)
) f (figure, value, earlier)
where s.newest is not null
