update app.accounts set branches = :branches
where account_id = :account_id
returning account_id
