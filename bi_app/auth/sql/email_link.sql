-- What a link is for, and whom; nothing when it was used or is too old.
select case when c.confirm_sha256 = :sha256 then 'confirm' else 'object' end as what,
    c.change_id, c.account_id, c.old_email, c.new_email, a.name, c.done_at is not null as done
from app.email_changes c join app.accounts a using (account_id)
where a.disabled_at is null and a.approved_at is not null
  and (
    (c.confirm_sha256 = :sha256 and c.confirm_until > now() and c.done_at is null
     and c.given_up_at is null and c.objected_at is null)
    or (c.object_sha256 = :sha256 and c.object_until > now() and c.objected_at is null)
  )
