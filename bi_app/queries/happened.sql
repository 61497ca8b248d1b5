-- Changes whenever a step ends, a verdict is given or an alert changes.
select
    (select max(step_id) from ops.steps) as step,
    (select max(verdict_id) from quality.verdicts) as verdict,
    (select max(event_id) from quality.alert_events) as event
