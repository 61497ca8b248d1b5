update app.sessions set ended_at = clock_timestamp()
where session_id = cast(:session_id as uuid) and account_id = :account_id and ended_at is null
returning session_id
