-- Titles with more holds than copies can serve, the highest ratio first, and what to buy in all.
with alert as (
    select
        p.*,
        greatest(ceil(p.holds / %(threshold)s::numeric)::integer - p.copies - p.on_order, 0) as buy
    from gold.library_purchase_alert p
    where %(branches)s::text[] is null or exists (
        select from gold.library_hold_titles h
        where h.title_code = p.title_code and h.branch_code = any(%(branches)s)
    )
)
select
    coalesce(a.title, 'Not in the catalogue: ' || a.title_code) as title,
    coalesce(a.author, '') as author,
    coalesce(a.collection_code, '') as collection,
    a.holds,
    a.copies,
    a.on_order,
    a.ratio::float8 as ratio,
    a.buy,
    a.branches,
    a.oldest_on,
    count(*) over () as titles,
    (sum(a.buy) over ())::integer as copies_to_buy
from alert a
where a.buy > 0
order by a.ratio desc nulls first, a.holds desc, a.title_code
limit %(limit)s
