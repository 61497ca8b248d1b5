-- The old address objects: nothing of the account that a thief may know is good any more.
with objected as (
    update app.email_changes c
    set objected_at = now(), object_sha256 = null, confirm_sha256 = null,
        undone_at = case when c.done_at is not null and not exists (
            select from app.accounts o where lower(o.email) = lower(c.old_email)
        ) then now() end  -- whatever address it was moved on to since
    from app.accounts a
    where c.object_sha256 = :sha256 and c.object_until > now() and c.objected_at is null
      and a.account_id = c.account_id and a.disabled_at is null and a.approved_at is not null
    returning c.change_id, c.account_id, c.old_email, c.new_email, a.name,
        c.done_at is not null as done, c.undone_at
),
others as (
    update app.email_changes w set given_up_at = now(), confirm_sha256 = null from objected c
    where w.account_id = c.account_id and w.change_id <> c.change_id
      and w.done_at is null and w.given_up_at is null and w.objected_at is null
),
put_back as (
    update app.accounts a
    set email = case when c.undone_at is null then a.email else c.old_email end,
        password_hash = null
    from objected c where a.account_id = c.account_id
),
signed_out as (
    update app.sessions s set ended_at = clock_timestamp() from objected c
    where s.account_id = c.account_id and s.ended_at is null
),
links as (delete from app.tokens t using objected c where t.account_id = c.account_id),
devices as (delete from app.devices d using objected c where d.account_id = c.account_id),
keys as (
    update app.api_keys k set ended_at = now() from objected c
    where k.account_id = c.account_id and k.ended_at is null
)
select change_id, account_id, old_email, new_email, name, done from objected
