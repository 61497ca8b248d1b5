update app.sessions set ended_at = clock_timestamp()
where account_id = :account_id and ended_at is null
returning session_id
