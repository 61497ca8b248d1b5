-- The share of checks passed in the last thirty verdicts of each dataset, newest first.
select d.name as dataset, array_agg(v.share order by v.verdict_id desc) as trend
from ops.catalogue d, lateral (
    select verdict_id, (100.0 * passed / nullif(checks, 0))::float as share
    from quality.verdicts where dataset = d.name order by verdict_id desc limit 30
) v
where d.layer = 'silver' and (%(dataset)s::text is null or d.name = %(dataset)s)
group by d.name
