update app.accounts set language = :language where account_id = :account_id
