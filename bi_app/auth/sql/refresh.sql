-- Take a refresh token's place with a new one. One that was used before ends its session.
with found as (
    select r.token_sha256, r.session_id, r.used_at, a.*
    from app.refresh_tokens r
    join app.sessions s using (session_id)
    join app.accounts a using (account_id)
    where r.token_sha256 = :token_sha256
        and a.disabled_at is null
        and a.approved_at is not null
        and s.ended_at is null
        and s.expires_at > now()
        and s.seen_at > now() - make_interval(mins => :idle_minutes)
    for update of r, s  -- a session that is ended meanwhile stays ended
),
used as (
    update app.refresh_tokens r set used_at = now()
    from found f
    where r.token_sha256 = f.token_sha256 and f.used_at is null
),
fresh as (
    insert into app.refresh_tokens (token_sha256, session_id)
    select :fresh_sha256, session_id from found where used_at is null
),
ended as (
    update app.sessions s
    set ended_at = case when f.used_at is not null then now() else s.ended_at end,
        seen_at = now()
    from found f
    where s.session_id = f.session_id
)
select session_id, used_at is not null as reused, account_id, email, name, role, branches,
    member_key, language
from found
