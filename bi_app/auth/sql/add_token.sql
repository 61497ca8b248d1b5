insert into app.tokens (token_sha256, purpose, account_id, email, name, stated_key, expires_at)
values (:token_sha256, :purpose, :account_id, :email, :name, :stated_key,
    now() + make_interval(mins => :minutes))
