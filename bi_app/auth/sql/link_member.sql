-- One account a member: a key that another account holds is not given away.
update app.accounts a set member_key = :member_key, stated_key = null
where a.account_id = :account_id
  and not exists (
    select from app.accounts o
    where o.member_key = :member_key and o.account_id <> a.account_id and o.disabled_at is null
  )
returning a.account_id
