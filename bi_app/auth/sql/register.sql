-- Who proved an address becomes a member; whoever has it already keeps what they have.
insert into app.accounts (email, name, role, stated_key, password_hash)
values (:email, :name, 'member', :stated_key, :password_hash)
on conflict ((lower(email))) do nothing
returning account_id
