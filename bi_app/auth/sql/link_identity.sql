-- The account of a verified address; not one that another person of this provider holds.
insert into app.identities (issuer, subject, account_id)
select :issuer, :subject, a.account_id
from app.accounts a
where lower(a.email) = lower(:email) and a.disabled_at is null and a.approved_at is not null
  and not exists (
    select from app.identities i where i.account_id = a.account_id and i.issuer = :issuer
  )
on conflict (issuer, subject) do nothing
returning account_id
