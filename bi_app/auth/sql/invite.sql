insert into app.accounts (email, name, role, branches, member_key)
values (:email, :name, :role, :branches, :member_key)
on conflict ((lower(email))) do nothing
returning account_id
