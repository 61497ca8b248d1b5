-- Products bought together, with their names.
select
    b.first, coalesce(a.name, b.first) as first_name, b.second,
    coalesce(z.name, b.second) as second_name, b.baskets, b.first_baskets, b.second_baskets,
    b.support, b.confidence, b.lift, b.all_baskets, b.left_out, b.first_day, b.last_day
from gold.retail_baskets b
left join gold.retail_products a on a.stock_code = b.first
left join gold.retail_products z on z.stock_code = b.second
order by b.lift desc, b.baskets desc, b.first, b.second
