-- Each dataset: its newest verdict, its newest run, the records of its newest load that read any.
select
    d.name as dataset, d.title, d.domain,
    v.verdict_id, v.outcome as contract, v.checks, v.passed, v.judged_at, v.message, v.warnings,
    r.run_id, r.started_at, r.ended_at, r.seconds, r.slowest, r.slowest_seconds,
    r.failed_at, r.failure, r.category,
    l.load_id, l.started_at as loaded_at, l.rows_in, l.rows_quarantined, l.rows_unchanged,
    l.rows_inserted + l.rows_updated as rows_loaded, l.rows_after
from ops.catalogue d
left join lateral (
    select * from quality.verdicts where dataset = d.name order by verdict_id desc limit 1
) v on true
left join lateral (
    select run_id from ops.steps
    where dataset = d.name and state <> 'held' order by step_id desc limit 1
) newest on true
left join lateral (
    select
        newest.run_id, min(started_at) as started_at, max(ended_at) as ended_at,
        extract(epoch from max(ended_at) - min(started_at))::float as seconds,
        (array_agg(step order by ended_at - started_at desc))[1] as slowest,
        extract(epoch from max(ended_at - started_at))::float as slowest_seconds,
        max(ended_at) filter (where state = 'failed') as failed_at,
        max(message) filter (where state = 'failed') as failure,
        max(category) filter (where state = 'failed') as category
    from ops.steps where run_id = newest.run_id and dataset = d.name
) r on true
left join lateral (
    select * from ops.loads where dataset = d.name and state = 'done' order by load_id desc limit 1
) l on true
where d.layer = 'silver' and (%(dataset)s::text is null or d.name = %(dataset)s)
order by d.title, d.name
