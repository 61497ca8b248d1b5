-- A new password ends every session and every link of the account.
with changed as (
    update app.accounts set password_hash = :password_hash where account_id = :account_id
    returning account_id
),
signed_out as (
    update app.sessions set ended_at = clock_timestamp()
    where account_id = :account_id and ended_at is null
),
links as (delete from app.tokens where account_id = :account_id)
select account_id from changed
