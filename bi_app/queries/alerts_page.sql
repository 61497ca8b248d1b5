-- Alerts by number, newest first.
select alert_id, kind, dataset, title, severity, state, snoozed_until, times, opened_at, last_at,
    acknowledged_by, assignee, resolved_at, resolved_by, reason
from quality.alerts
where (%(state)s::text is null or state = %(state)s)
    and (%(dataset)s::text is null or dataset = %(dataset)s)
    and (%(before)s::bigint is null or alert_id < %(before)s)
    and (%(alert)s::bigint is null or alert_id = %(alert)s)
order by alert_id desc
limit %(limit)s
