-- Seconds of the last thirty runs of each dataset, newest first.
select d.name as dataset, r.trend
from ops.catalogue d, lateral (
    select array_agg(seconds order by newest desc) as trend
    from (
        select max(step_id) as newest,
            extract(epoch from max(ended_at) - min(started_at))::float as seconds
        from (
            select step_id, run_id, started_at, ended_at from ops.steps
            where dataset = d.name and state <> 'held' order by step_id desc limit 180
        ) s
        group by run_id order by newest desc limit 30
    ) runs
) r
where d.layer = 'silver'
