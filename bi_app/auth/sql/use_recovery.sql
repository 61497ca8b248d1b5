update app.recovery_codes set used_at = now()
where account_id = :account_id and code_sha256 = :code_sha256 and used_at is null
returning account_id
