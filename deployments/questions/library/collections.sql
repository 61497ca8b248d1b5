-- title: How well collections are used
-- description: Holdings, loans a copy a year, relative use and copies never lent, by collection
select
    u.collection_code,
    sum(u.holdings) as holdings,
    sum(u.circulation) as circulation,
    round(sum(u.circulation)::numeric / nullif(sum(u.holdings), 0), 2) as turnover,
    sum(u.never_used) as never_used,
    round(100.0 * sum(u.never_used) / nullif(sum(u.holdings), 0), 1) as never_per_cent
from gold.library_collection_use u
group by u.collection_code
order by turnover desc nulls last, u.collection_code
