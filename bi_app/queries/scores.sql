-- The newest score of each dataset and of the whole, with the last thirty of each, newest first.
select k.level, k.subject, s.score::float as score, s.weight, s.formula, s.parts, s.at, t.trend
from (
    select 'whole' as level, 'all' as subject
    union all select 'dataset', name from ops.catalogue
    where layer = 'silver' and (%(dataset)s::text is null or name = %(dataset)s)
) k
cross join lateral (
    select score, weight, formula, parts, at from quality.scores
    where level = k.level and subject = k.subject order by score_id desc limit 1
) s
cross join lateral (
    select array_agg(score::float order by score_id desc) as trend
    from (
        select score, score_id from quality.scores
        where level = k.level and subject = k.subject order by score_id desc limit 30
    ) last
) t
