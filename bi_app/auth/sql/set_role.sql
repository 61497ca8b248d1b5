update app.accounts set role = :role
where account_id = :account_id
returning account_id
