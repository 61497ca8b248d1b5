-- Have a report mailed; nothing is returned where the account has as many as it may.
insert into app.subscriptions
    (account_id, page, choice, every, on_day, at_hour, files, next_due_at)
select app.viewer_account(), %(page)s::text, %(choice)s::jsonb, %(every)s::text,
    %(on_day)s::smallint, %(at_hour)s::smallint, %(files)s::text[], %(next_due_at)s::timestamptz
where (
    select count(*) from app.subscriptions where account_id = app.viewer_account()
) < %(most)s::int
returning subscription_id
