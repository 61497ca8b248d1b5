update app.accounts set name = :name where account_id = :account_id
