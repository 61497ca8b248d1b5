-- What an alert is made of, and what it holds back.
select what, name, severity, detail, dataset, since, last_at, until
from quality.alert_parts where alert_id = %(alert)s
order by until is not null, what in ('gold', 'dataset'),
    array_position(array['critical', 'warning', 'info'], severity), what, name
limit 200
