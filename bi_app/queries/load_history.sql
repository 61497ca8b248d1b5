-- A dataset's newest loads, each with the verdict on it.
select l.load_id, l.started_at, l.state, l.rows_in, l.rows_inserted, l.rows_updated, l.rows_deleted,
    l.rows_unchanged, l.rows_quarantined, l.rows_ignored, l.actor, l.error,
    extract(epoch from l.done_at - l.started_at)::float as seconds,
    v.outcome as contract, v.passed, v.checks
from ops.loads l
left join lateral (
    select outcome, passed, checks from quality.verdicts
    where dataset = l.dataset and load_id = l.load_id order by verdict_id desc limit 1
) v on true
where l.dataset = %(dataset)s
order by l.load_id desc
limit 100
