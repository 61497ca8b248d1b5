insert into app.sessions (account_id, token_sha256, expires_at, address, client)
values (:account_id, :token_sha256, now() + make_interval(hours => :hours), :address, :client)
returning session_id
