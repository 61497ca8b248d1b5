-- The new address proved itself: it is the account's from now on, unless another account has it.
with confirmed as (
    update app.email_changes c set done_at = now(), confirm_sha256 = null
    from app.accounts a
    where c.confirm_sha256 = :sha256 and c.confirm_until > now() and a.account_id = c.account_id
      and c.done_at is null and c.given_up_at is null and c.objected_at is null
      and a.disabled_at is null and a.approved_at is not null
      and lower(a.email) = lower(c.old_email)
      and not exists (select from app.accounts o where lower(o.email) = lower(c.new_email))
    returning c.change_id, c.account_id, c.old_email, c.new_email, a.name
),
moved as (
    update app.accounts a set email = c.new_email from confirmed c
    where a.account_id = c.account_id
),
signed_out as (
    update app.sessions s set ended_at = clock_timestamp() from confirmed c
    where s.account_id = c.account_id and s.ended_at is null
),
links as (delete from app.tokens t using confirmed c where t.account_id = c.account_id)
select change_id, account_id, old_email, new_email, name, true as done from confirmed
