update app.tokens set attempts = attempts + 1
where token_sha256 = :token_sha256
returning attempts
