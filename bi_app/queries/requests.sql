-- What was asked of the pipelines of late, newest first.
select request_id, asked_at, asked_by, subject as dataset, state, done_at, message
from app.requests
where asked_at > now() - interval '7 days'
order by request_id desc
limit 200
