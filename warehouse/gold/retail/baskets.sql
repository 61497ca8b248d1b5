-- title: Products bought together
-- grain: one row a pair of products, in the direction of the greater confidence
-- key: first, second
-- access: staff
-- description: Rules "who buys the first buys the second", of the baskets in the window that the stream's YAML says. A basket is an invoice that sells two products or more; products are lines that sell, without fees. The other direction of a pair has the same support and lift and less confidence, and is left out.
-- column first: Product that is in the basket
-- column second: Product that is bought with it
-- column baskets: Baskets with both
-- column first_baskets: Baskets with the first
-- column second_baskets: Baskets with the second
-- column support: Share of all analysed baskets with both
-- column confidence: Share of the baskets with the first that have the second too
-- column lift: Confidence divided by the share of all baskets that have the second; 1: independent
-- column all_baskets: Baskets that were analysed
-- column left_out: Baskets left out, as they hold too many products
-- column first_day: First day of the analysed baskets
-- column last_day: Last day of the analysed baskets
with pairs as (
    select
        case when a.baskets <= b.baskets then p.first else p.second end as first,
        case when a.baskets <= b.baskets then p.second else p.first end as second,
        p.baskets,
        least(a.baskets, b.baskets) as first_baskets,
        greatest(a.baskets, b.baskets) as second_baskets
    from silver.retail_sales_pairs p
    join silver.retail_sales_products a on a.stock_code = p.first
    join silver.retail_sales_products b on b.stock_code = p.second
    where p.baskets >= greatest({{given(retail_sales.baskets.least_baskets)}}, {{least}})
),
rules as (
    select
        b.*,
        b.baskets::double precision / w.baskets as support,
        b.baskets::double precision / b.first_baskets as confidence,
        b.baskets::double precision * w.baskets / (b.first_baskets * b.second_baskets) as lift,
        w.baskets as all_baskets,
        w.left_out,
        w.first_day,
        w.last_day
    from pairs b
    cross join silver.retail_sales_analysed w
)
select r.*
from rules r
where r.confidence >= {{given(retail_sales.baskets.least_confidence)}}
  and r.lift >= {{given(retail_sales.baskets.least_lift)}}
order by r.lift desc, r.baskets desc, r.first, r.second
limit {{given(retail_sales.baskets.most_rules)}}
