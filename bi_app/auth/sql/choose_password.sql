-- A new password ends every session and every link of the account; after a reset, which may follow a
-- theft, the keys of its programs as well.
with changed as (
    update app.accounts set password_hash = :password_hash where account_id = :account_id
    returning account_id
),
signed_out as (
    update app.sessions set ended_at = clock_timestamp()
    where account_id = :account_id and ended_at is null
),
keys as (
    update app.api_keys set ended_at = clock_timestamp()
    where :end_keys and account_id = :account_id and ended_at is null
),
waiting as (
    update app.email_changes set given_up_at = now(), confirm_sha256 = null
    where account_id = :account_id
      and done_at is null and given_up_at is null and objected_at is null
),
links as (delete from app.tokens where account_id = :account_id)
select account_id from changed
