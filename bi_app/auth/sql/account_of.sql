select account_id, email, name, role, branches, member_key, language, has_password
from app.accounts
where account_id = :account_id and disabled_at is null and approved_at is not null
