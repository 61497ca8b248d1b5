select count(*) as left_over from app.recovery_codes
where account_id = :account_id and used_at is null
