-- Failures since the last success: of this account from this address, and from this address alone.
with recent as (
    select lower(email) as email, address, outcome, at
    from app.sign_ins
    where at > now() - make_interval(mins => :window_minutes)
      and (lower(email) = lower(:email) or address = :address)
),
pair as (
    select * from recent where email = lower(:email) and address = :address
)
select
    (select count(*) from pair
     where outcome = 'refused'
       and at > coalesce((select max(at) from pair where outcome = 'ok'), '-infinity')) as pair,
    (select extract(epoch from now() - max(at)) from pair where outcome = 'refused')::float
        as pair_age,
    (select count(*) from recent where address = :address and outcome = 'refused') as address,
    (select extract(epoch from now() - max(at)) from recent
     where address = :address and outcome = 'refused')::float as address_age
