update app.sessions s
set seen_at = case when s.seen_at < now() - interval '30 seconds' then now() else s.seen_at end
from app.accounts a
where s.token_sha256 = :token_sha256
  and a.account_id = s.account_id
  and a.disabled_at is null
  and s.ended_at is null
  and s.expires_at > now()
  and s.seen_at > now() - make_interval(mins => :idle_minutes)
returning s.session_id, a.account_id, a.email, a.name, a.role, a.branches, a.member_key,
  a.language
