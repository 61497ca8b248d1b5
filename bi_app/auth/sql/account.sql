select account_id, email, name, role, branches, member_key, language, password_hash
from app.accounts
where lower(email) = lower(:email) and disabled_at is null and approved_at is not null
