update app.sessions set ended_at = clock_timestamp()
where session_id = cast(:session_id as uuid) and ended_at is null
returning session_id
