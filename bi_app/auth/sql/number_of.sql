-- The account of an e-mail, disabled or not.
select account_id from app.accounts where lower(email) = lower(:email)
