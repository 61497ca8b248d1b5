-- title: Purchase alert
-- grain: one row a title with an active hold
-- key: title_code
-- access: staff
-- description: Holds for each copy of a title, over all branches, because the counts of one branch hide demand (KPIS 10, Minuteman "purchase alert"). It counts holds and names no one. Copies in process, that have arrived but are not in the catalogue yet, are not told by any source.
-- column title_code: Title, as source:number, as in gold.library_titles
-- column title: Title; null where the catalogue does not have it yet
-- column author: Author
-- column collection_code: Collection
-- column holds: Holds that wait and are not put off, at all branches (KPIS 11)
-- column branches: Branches that wait for it
-- column copies: Copies held, at all branches
-- column on_order: Copies ordered that have not arrived, for all branches
-- column ratio: holds / (copies + on_order); null where there is neither copy nor order
-- column oldest_on: Day on which the oldest of the holds was placed
select
    w.title_code,
    t.title,
    t.author,
    t.collection_code,
    w.holds,
    w.branches,
    coalesce(t.copies, 0) as copies,
    coalesce(o.copies, 0)::integer as on_order,
    round(w.holds::numeric / nullif(coalesce(t.copies, 0) + coalesce(o.copies, 0), 0), 4)
        as ratio,
    w.oldest_on
from (
    select
        h.title_code,
        sum(h.holds)::integer as holds,
        count(*)::integer as branches,
        min(h.oldest_on) as oldest_on
    from gold.library_hold_titles h
    group by h.title_code
) w
left join gold.library_titles t on t.title_code = w.title_code
left join (
    select o.source_code || ':' || o.title_code as title_code, sum(o.copies) as copies
    from silver.library_orders o
    where o.status = 'ordered'
    group by 1
) o on o.title_code = w.title_code
