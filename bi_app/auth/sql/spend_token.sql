-- The token is gone with this statement, so that it counts once; whoever was first has it.
with spent as (
    delete from app.tokens where token_sha256 = :token_sha256 and purpose = any(:purposes)
    returning *
)
select t.purpose, t.account_id, coalesce(t.email, a.email) as email, coalesce(t.name, a.name) as name,
    t.stated_key, t.attempts
from spent t left join app.accounts a using (account_id)
where t.expires_at > now()
  and (t.account_id is null or (a.disabled_at is null and a.approved_at is not null))
