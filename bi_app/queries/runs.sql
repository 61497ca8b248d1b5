-- Runs by their first step, newest first: what each was for, how it went, how long it took.
with runs as (
    select run_id, min(step_id) as first_step
    from ops.steps
    where (%(dataset)s::text is null or dataset = %(dataset)s)
    group by run_id
    having %(before)s::bigint is null or min(step_id) < %(before)s
    order by 2 desc
    limit %(limit)s
)
select r.first_step, r.run_id,
    coalesce(array_agg(distinct s.dataset) filter (where s.dataset is not null), '{{}}') as datasets,
    case when bool_or(s.state = 'failed') then 'failed'
        when bool_or(s.state = 'held') then 'held' else 'done' end as state,
    min(s.started_at) as started_at, max(s.ended_at) as ended_at,
    extract(epoch from max(s.ended_at) - min(s.started_at))::float as seconds,
    count(*)::int as steps
from runs r join ops.steps s using (run_id)
group by r.first_step, r.run_id
order by r.first_step desc
