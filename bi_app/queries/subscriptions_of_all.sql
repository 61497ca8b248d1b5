-- Whose reports are mailed, for admins; nobody else may read the accounts.
select s.subscription_id, a.email, a.role
from app.subscriptions s join app.accounts a using (account_id)
