-- Ask the pipelines to do something.
insert into app.requests (asked_by, action, subject)
values ((select app.viewer_user()), %(action)s, %(subject)s)
returning request_id
