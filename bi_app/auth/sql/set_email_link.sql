-- Not for an address that has an account: its mail says so, and nothing else.
update app.email_changes c
set confirm_sha256 = :sha256, confirm_until = now() + make_interval(mins => :minutes)
where c.change_id = :change_id
  and c.done_at is null and c.given_up_at is null and c.objected_at is null
  and not exists (select from app.accounts a where lower(a.email) = lower(c.new_email))
returning c.change_id
