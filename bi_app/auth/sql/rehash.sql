-- Only if nobody changed the password meanwhile.
update app.accounts set password_hash = :new
where account_id = :account_id and password_hash = :old
