-- The device, if the account of this e-mail knows it.
update app.devices d set seen_at = now()
from app.accounts a
where d.token_sha256 = :token_sha256 and a.account_id = d.account_id
  and lower(a.email) = lower(:email)
returning d.device_id
