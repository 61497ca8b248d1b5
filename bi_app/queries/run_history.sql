-- The runs of a dataset in the last year: seconds, its steps' seconds, and how each went.
select min(started_at) as at, extract(epoch from max(ended_at) - min(started_at))::float as value,
    bool_or(state = 'failed') as bad,
    (array_agg(step order by ended_at - started_at desc))[1] as slowest,
    extract(epoch from max(ended_at - started_at))::float as slowest_seconds
from ops.steps
where dataset = %(dataset)s and state <> 'held' and started_at > now() - interval '1 year'
group by run_id
order by at
