update app.accounts set password_hash = :password_hash
where lower(email) = lower(:email)
returning account_id
