-- One request to the pipelines, and what became of it.
select request_id, asked_at, asked_by, subject as dataset, state, done_at, message
from app.requests
where request_id = %(request)s
