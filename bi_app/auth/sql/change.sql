-- Role, branches and whether it is let in, in one go: what is null stays as it is.
update app.accounts set
    role = coalesce(:role, role),
    branches = coalesce(cast(:branches as text[]), branches),
    disabled_at = case
        when cast(:disabled as boolean) is null then disabled_at
        when cast(:disabled as boolean) then coalesce(disabled_at, now())
    end
where account_id = :account_id
returning account_id
