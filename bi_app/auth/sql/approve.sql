update app.accounts set
    approved_at = now(),
    member_key = case when :link then coalesce(stated_key, member_key) else member_key end,
    stated_key = null
where account_id = :account_id and approved_at is null
returning email, name
