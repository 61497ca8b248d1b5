insert into app.sessions (account_id, token_sha256, expires_at, address, client, method)
values (:account_id, :token_sha256, now() + make_interval(hours => :hours), :address, :client,
    :method)
returning session_id
