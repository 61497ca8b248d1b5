-- Whom a token is for; of a disabled or unapproved account it is for nobody.
select t.purpose, t.account_id, coalesce(t.email, a.email) as email, coalesce(t.name, a.name) as name,
    t.stated_key, t.attempts
from app.tokens t left join app.accounts a using (account_id)
where t.token_sha256 = :token_sha256 and t.purpose = any(:purposes) and t.expires_at > now()
  and (t.account_id is null or (a.disabled_at is null and a.approved_at is not null))
