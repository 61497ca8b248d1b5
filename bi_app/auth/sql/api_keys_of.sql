select key_id, name, prefix, scopes, created_at, expires_at, last_used_at
from app.api_keys
where account_id = :account_id and ended_at is null
order by key_id
limit 200
