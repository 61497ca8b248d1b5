-- One change waits at a time. Two mails are asked for, whoever has the new address; that one gets
-- few an hour, whoever asks.
with often as (
    select count(*) filter (where account_id = :account_id) >= :most as too_often,
        count(*) filter (where lower(new_email) = lower(:new_email)) >= :most as bothered
    from app.email_changes where asked_at > now() - interval '1 hour'
),
earlier as (
    update app.email_changes c set given_up_at = now()
    from often
    where not often.too_often and c.account_id = :account_id
      and c.done_at is null and c.given_up_at is null and c.objected_at is null
),
asked as (
    insert into app.email_changes (account_id, old_email, new_email)
    select a.account_id, a.email, :new_email
    from app.accounts a, often where a.account_id = :account_id and not often.too_often
    returning change_id, account_id, old_email, new_email
),
letters as (
    insert into app.letters (kind, email, name, note)
    select wanted.kind, wanted.email, a.name, asked.change_id::text
    from asked join app.accounts a using (account_id),
    lateral (values ('confirm_email', asked.new_email), ('object_email', asked.old_email))
        as wanted (kind, email)
    where wanted.kind <> 'confirm_email' or not (select bothered from often)
)
select change_id from asked
