-- How many alerts stand, by severity; and how many of them nobody has taken up.
select count(*) as standing, count(*) filter (where severity = 'critical') as critical,
    count(*) filter (where state = 'open') as untouched
from quality.alerts where state <> 'resolved' and snoozed_until > now() is not true
