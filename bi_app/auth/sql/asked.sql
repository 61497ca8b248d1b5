-- How often an address, and about which account, a link was asked for within the hour.
select
    count(*) filter (where address = :address) as address,
    count(*) filter (where lower(email) in (lower(:email), :mark)) as account
from app.sign_ins
where outcome = 'asked' and at > now() - interval '1 hour'
  and (address = :address or lower(email) in (lower(:email), :mark))
