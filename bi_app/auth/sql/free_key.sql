delete from app.answers where account_id = :account_id and key = :key and status is null
