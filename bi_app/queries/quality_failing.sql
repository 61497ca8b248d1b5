-- Checks of the newest verdicts that do not hold: measured, threshold, since when, values of late.
with latest as (
    select v.dataset, v.verdict_id
    from ops.catalogue d, lateral (
        select dataset, verdict_id from quality.verdicts
        where dataset = d.name order by verdict_id desc limit 1
    ) v
    where d.layer = 'silver'
),
failing as (
    select l.dataset, r.name, r.check_type, r.column_name, r.outcome, r.measured, r.threshold,
        r.severity
    from latest l join quality.results r using (verdict_id)
    where r.outcome <> 'passed'
)
select f.*, d.title, h.since, t.trend, h.certain, l.rows_quarantined as held
from failing f
join ops.catalogue d on d.layer = 'silver' and d.name = f.dataset
left join lateral (
    select rows_quarantined from ops.loads
    where dataset = f.dataset and state = 'done' order by load_id desc limit 1
) l on true
left join lateral (
    select v.verdict_id
    from (
        select verdict_id from quality.verdicts
        where dataset = f.dataset order by verdict_id desc limit 400
    ) v
    where exists (
        select from quality.results
        where verdict_id = v.verdict_id and name = f.name and outcome = 'passed'
    )
    order by v.verdict_id desc limit 1
) p on true
cross join lateral (
    select min(v.judged_at) as since, p.verdict_id is not null as certain
    from (
        select verdict_id, judged_at from quality.verdicts
        where dataset = f.dataset and verdict_id > coalesce(p.verdict_id, 0)
        order by verdict_id desc limit 400
    ) v
    join quality.results r using (verdict_id)
    where r.name = f.name
) h
cross join lateral (
    select array_agg(r.measured order by verdict_id desc) as trend
    from (
        select verdict_id from quality.verdicts
        where dataset = f.dataset order by verdict_id desc limit 30
    ) v
    join quality.results r using (verdict_id)
    where r.name = f.name
) t
order by array_position(array['critical', 'warning', 'info'], f.severity), h.since, f.dataset, f.name
limit 500
