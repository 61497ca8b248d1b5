-- Alerts: those that stand before the snoozed and the resolved, the worst and oldest first.
with counted as (
    select alert_id, count(*) filter (where what not in ('gold', 'dataset')) as checks,
        count(*) filter (where what in ('gold', 'dataset')) as held
    from quality.alert_parts where until is null group by alert_id
)
select a.alert_id, a.kind, a.dataset, a.title, a.severity, a.category, a.state, a.episode, a.times,
    a.opened_at, a.last_at, a.acknowledged_by, a.assignee, a.resolved_at, a.resolved_by, a.reason,
    a.snoozed_until, a.snoozed_until > now() is true as snoozed,
    coalesce(c.checks, 0) as checks, coalesce(c.held, 0) as held,
    extract(epoch from coalesce(a.resolved_at, now()) - a.opened_at)::float as age
from quality.alerts a left join counted c using (alert_id)
where %(all)s or a.state <> 'resolved'
order by a.state = 'resolved', a.snoozed_until > now() is true,
    array_position(array['critical', 'warning', 'info'], a.severity), a.opened_at
limit 300
