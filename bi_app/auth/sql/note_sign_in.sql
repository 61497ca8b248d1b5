-- An account's address, or the mark of what was typed.
insert into app.sign_ins (email, address, outcome, device_id)
values (
    coalesce(
        (select a.email from app.accounts a where lower(a.email) = lower(:email)), :mark
    ),
    :address, :outcome, :device_id
)
