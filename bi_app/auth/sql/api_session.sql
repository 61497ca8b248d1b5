-- Who has a live session, with the rights of now; its idle time starts anew.
with touched as (
    update app.sessions set seen_at = now()
    where session_id = cast(:session_id as uuid) and ended_at is null
        and seen_at between now() - make_interval(mins => :idle_minutes)
            and now() - interval '30 seconds'
)
select a.account_id, a.email, a.name, a.role, a.branches, a.member_key, a.language
from app.sessions s
join app.accounts a using (account_id)
where s.session_id = cast(:session_id as uuid)
    and a.account_id = :account_id
    and a.disabled_at is null
    and a.approved_at is not null
    and s.ended_at is null
    and s.expires_at > now()
    and s.seen_at > now() - make_interval(mins => :idle_minutes)
