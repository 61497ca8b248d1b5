update app.email_changes set given_up_at = now(), confirm_sha256 = null
where account_id = :account_id and done_at is null and given_up_at is null and objected_at is null
returning change_id
