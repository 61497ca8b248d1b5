-- Failures that slow a sign-in down. On a device that the account knows only that device's own
-- count; elsewhere those of this account from this address, of this address, and of this account
-- from devices that it does not know. A success forgives those of the same device or address. What
-- is no account's address is known by its mark.
with recent as (
    select lower(email) in (lower(:email), :mark) as same, address, outcome, at, device_id
    from app.sign_ins
    where at > now() - make_interval(mins => :window_minutes)
      and (lower(email) in (lower(:email), :mark) or address = :address)
      and outcome in ('ok', 'refused', 'second')
),
own as (
    select * from recent
    where same and (
        (cast(:device_id as uuid) is null and device_id is null and address = :address)
        or device_id = :device_id
    )
),
failed as (select * from recent where outcome <> 'ok' and device_id is null)
select
    (select count(*) from own
     where outcome <> 'ok'
       and at > coalesce((select max(at) from own where outcome = 'ok'), '-infinity')) as pair,
    (select extract(epoch from now() - max(at)) from own where outcome <> 'ok')::float as pair_age,
    (select count(*) from failed where address = :address) as address,
    (select extract(epoch from now() - max(at)) from failed where address = :address)::float
        as address_age,
    (select count(*) from failed where same) as account,
    (select extract(epoch from now() - max(at)) from failed where same)::float
        as account_age
