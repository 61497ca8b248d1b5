update app.answers set status = :status, body = :body
where account_id = :account_id and key = :key
