select a.has_password,
    exists (select from app.identities i where i.account_id = a.account_id) as elsewhere,
    exists (
        select from app.email_changes c
        where c.account_id = a.account_id and c.objected_at > now() - make_interval(days => :days)
    ) as objected
from app.accounts a where a.account_id = :account_id
