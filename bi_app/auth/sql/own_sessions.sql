select session_id, started_at, seen_at, expires_at, address, client, method
from app.sessions
where account_id = :account_id and ended_at is null and expires_at > now()
  and seen_at > now() - make_interval(mins => :idle_minutes)
order by seen_at desc
