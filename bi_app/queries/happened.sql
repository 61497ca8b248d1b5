-- Changes whenever a step ends, a verdict is given, an alert changes or a stream's run reports.
select
    (select max(step_id) from ops.steps) as step,
    (select max(verdict_id) from quality.verdicts) as verdict,
    (select max(event_id) from quality.alert_events) as event,
    (select max(reported_at) from ops.stream_runs) as reported
