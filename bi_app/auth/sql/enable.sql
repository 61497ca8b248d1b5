update app.accounts set disabled_at = null
where account_id = :account_id
returning account_id
