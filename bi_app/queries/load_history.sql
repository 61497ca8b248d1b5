-- A dataset's newest loads, each with the verdict on it.
with judged as (
    select distinct on (load_id) load_id, outcome, passed, checks
    from (
        select * from quality.verdicts where dataset = %(dataset)s order by verdict_id desc limit 500
    ) v
    order by load_id, verdict_id desc
)
select l.load_id, l.started_at, l.state, l.rows_in, l.rows_inserted, l.rows_updated, l.rows_deleted,
    l.rows_unchanged, l.rows_quarantined, l.rows_ignored, l.actor, l.error,
    extract(epoch from l.done_at - l.started_at)::float as seconds,
    j.outcome as contract, j.passed, j.checks
from ops.loads l
left join judged j using (load_id)
where l.dataset = %(dataset)s
order by l.load_id desc
limit 100
