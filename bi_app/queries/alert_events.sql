-- An alert's record, newest first.
select at, who, action, to_state, note from quality.alert_events
where alert_id = %(alert)s order by event_id desc limit 200
