insert into app.accounts (email, name, role, branches, member_key, password_hash)
values (:email, :name, :role, :branches, :member_key, :password_hash)
on conflict ((lower(email))) do nothing
returning account_id
