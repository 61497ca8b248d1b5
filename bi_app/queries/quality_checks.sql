-- Every check of a dataset's newest verdict, failing ones first, with its values of late.
with past as (
    select verdict_id, judged_at from quality.verdicts
    where dataset = %(dataset)s order by verdict_id desc limit 180
),
latest as (select max(verdict_id) as verdict_id from past),
history as (
    select r.name, (array_agg(r.measured order by r.verdict_id desc))[:30] as trend,
        min(p.judged_at) filter (where r.outcome <> 'passed') as first_failure,
        count(*) filter (where r.outcome <> 'passed') as failures, count(*) as times
    from past p join quality.results r using (verdict_id) group by r.name
)
select r.name, r.check_type, r.column_name, r.outcome, r.measured, r.threshold,
    r.severity, r.part, h.trend, h.failures, h.times
from latest join quality.results r using (verdict_id) join history h using (name)
order by r.outcome = 'passed',
    array_position(array['critical', 'warning', 'info'], r.severity), r.name
