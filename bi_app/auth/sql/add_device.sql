insert into app.devices (account_id, token_sha256) values (:account_id, :token_sha256)
returning device_id
