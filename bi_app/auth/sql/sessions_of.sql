select session_id, started_at, seen_at, expires_at, address, client, method
from app.sessions
where account_id = :account_id and ended_at is null and expires_at > now()
order by started_at desc, session_id
limit 200
