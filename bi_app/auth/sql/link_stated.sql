-- One account a member, as in link_member.
update app.accounts a set member_key = a.stated_key, stated_key = null
where a.account_id = :account_id and a.stated_key is not null
  and not exists (
    select from app.accounts o
    where o.member_key = a.stated_key and o.account_id <> a.account_id and o.disabled_at is null
  )
returning a.account_id
