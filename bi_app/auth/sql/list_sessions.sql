-- Live sessions, the one used last first, for admins.
select s.session_id, s.account_id, a.email, s.started_at, s.seen_at, s.expires_at, s.address,
    s.client, s.method
from app.sessions s join app.accounts a using (account_id)
where s.ended_at is null and s.expires_at > now()
  and s.seen_at > now() - make_interval(mins => :idle_minutes)
  and (cast(:account_id as bigint) is null or s.account_id = :account_id)
order by s.seen_at desc
