insert into app.api_keys (account_id, name, prefix, key_sha256, scopes, expires_at)
values (:account_id, :name, :prefix, :key_sha256, :scopes, :expires_at)
returning key_id, name, prefix, scopes, created_at, expires_at, last_used_at
