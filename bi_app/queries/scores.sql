-- The newest score of each dataset, group and the whole, with the last thirty of each.
select k.level, k.subject, s.score::float as score, s.weight, s.formula, s.parts, s.at, s.trend
from (
    select 'whole' as level, 'all' as subject
    union all select 'dataset', name from ops.catalogue
    where layer = 'silver' and (%(dataset)s::text is null or name = %(dataset)s)
) k
cross join lateral (
    select (array_agg(score order by score_id desc))[1] as score,
        (array_agg(weight order by score_id desc))[1] as weight,
        (array_agg(formula order by score_id desc))[1] as formula,
        (array_agg(parts order by score_id desc))[1] as parts,
        max(at) as at, array_agg(score::float order by score_id desc) as trend
    from (
        select * from quality.scores q
        where q.level = k.level and (q.subject = k.subject or k.level = 'whole')
        order by score_id desc limit 30
    ) last
) s
where s.score is not null
