-- Also where the change was given up since: whoever asked for it may sit in a stolen session.
update app.email_changes
set object_sha256 = :sha256, object_until = now() + make_interval(days => :days)
where change_id = :change_id and objected_at is null
returning change_id
