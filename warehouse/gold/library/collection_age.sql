-- title: Age of the collection
-- grain: one row a branch, collection and decade of publication
-- key: branch_code, collection_code, decade
-- access: branch=branch_code
-- description: Copies held by decade of publication, with the median age of the whole collection at the branch (KPIS 14, Minuteman). Copies whose year is unknown are shown as such and left out of the median.
-- column branch_code: Branch that the copies belong to
-- column collection_code: Collection
-- column decade: Decade of publication, such as 1990s, or unknown
-- column items: Copies held
-- column median_age: Median age in years, over all decades of this branch and collection, of the copies whose year is known
-- column as_of_on: Day of the newest loan event; ages are counted to its year
select
    d.branch_code,
    d.collection_code,
    d.decade,
    d.items,
    m.median_age,
    d.as_of_on
from (
    select
        u.branch_code,
        u.collection_code,
        coalesce((u.published_year / 10 * 10)::text || 's', 'unknown') as decade,
        count(*)::integer as items,
        max(u.as_of_on) as as_of_on
    from gold.library_item_use u
    where u.is_held
    group by u.branch_code, u.collection_code, u.published_year / 10 * 10
) d
join (
    select
        u.branch_code,
        u.collection_code,
        percentile_cont(0.5) within group (
            order by extract(year from u.as_of_on)::integer - u.published_year
        ) as median_age
    from gold.library_item_use u
    where u.is_held
    group by u.branch_code, u.collection_code
) m on m.branch_code = d.branch_code and m.collection_code = d.collection_code
