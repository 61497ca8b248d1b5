-- Touch the sessions that were used since the last look, then say which of `known` still live.
with touched as (
    update app.sessions set seen_at = greatest(seen_at, now())
    where session_id = any(cast(:used as uuid[])) and ended_at is null
    returning session_id
)
select s.session_id, a.role, a.branches, a.member_key
from app.sessions s
join app.accounts a using (account_id)
left join touched t using (session_id)
where s.session_id = any(cast(:known as uuid[]))
  and a.disabled_at is null
  and s.ended_at is null
  and s.expires_at > now()
  and (t.session_id is not null or s.seen_at > now() - make_interval(mins => :idle_minutes))
