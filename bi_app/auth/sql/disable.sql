update app.accounts set disabled_at = coalesce(disabled_at, now())
where account_id = :account_id
returning account_id
