-- Runs that were asked for of late, newest first.
select request_id, asked_at, asked_by, action, subject, state, done_at, message
from app.requests
where action = 'run' and asked_at > now() - interval '7 days'
order by request_id desc
limit 50
