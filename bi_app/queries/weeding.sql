-- Candidates for weeding, the longest unused first, with how many there are in all.
select
    w.title,
    coalesce(w.author, '') as author,
    coalesce(w.dewey, '') as dewey,
    w.collection_code as collection,
    coalesce(b.name, w.branch_code) as branch,
    w.item_code,
    w.formula,
    w.published_year,
    w.unused_years::float8 as unused_years,
    w.checkouts,
    w.last_checkout_on,
    w.copies,
    count(*) over () as total
from gold.library_weeding_list w
left join gold.library_branch_names b on b.branch_code = w.branch_code
where (%(branches)s::text[] is null or w.branch_code = any(%(branches)s))
    and (%(collection)s::text is null or w.collection_code = %(collection)s)
    and (%(dewey)s::integer is null or w.dewey_class = %(dewey)s)
    and (not %(both)s or (coalesce(w.too_old, true) and coalesce(w.too_long_unused, true)))
order by w.unused_years desc nulls last, w.published_year, w.item_code
limit %(limit)s
