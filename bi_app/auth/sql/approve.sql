update app.accounts set approved_at = now()
where account_id = :account_id and approved_at is null
returning email, name
