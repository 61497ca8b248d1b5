-- A session of the API with its first refresh token.
with started as (
    insert into app.sessions (account_id, token_sha256, expires_at, address, client, method)
    values (
        :account_id, :unused, now() + make_interval(hours => :hours), :address, :client, 'api'
    )
    returning session_id
)
insert into app.refresh_tokens (token_sha256, session_id)
select :token_sha256, session_id from started
returning session_id
