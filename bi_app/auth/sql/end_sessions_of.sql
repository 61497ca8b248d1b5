update app.sessions s set ended_at = now()
from app.accounts a
where a.account_id = s.account_id and lower(a.email) = lower(:email) and s.ended_at is null
