update app.api_keys set ended_at = now()
where key_id = :key_id and account_id = :account_id and ended_at is null
returning key_id
