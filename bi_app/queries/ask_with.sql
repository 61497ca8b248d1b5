-- Ask the pipelines to do something that needs more than its name.
insert into app.requests (asked_by, action, subject, detail)
values ((select app.viewer_user()), %(action)s, %(subject)s, %(detail)s::jsonb)
returning request_id
