-- Who has a key that is good now, and what it may be used for.
with used as (
    update app.api_keys set last_used_at = now()
    where key_sha256 = :key_sha256 and ended_at is null
        and coalesce(last_used_at, '-infinity') < now() - interval '1 minute'
)
select k.key_id, k.scopes, a.account_id, a.email, a.name, a.role, a.branches, a.member_key,
    a.language
from app.api_keys k
join app.accounts a using (account_id)
where k.key_sha256 = :key_sha256
    and k.ended_at is null
    and k.expires_at > now()
    and a.disabled_at is null
    and a.approved_at is not null
