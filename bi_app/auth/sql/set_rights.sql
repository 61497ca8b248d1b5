-- What the provider says of an account, where it says anything; one account a member.
update app.accounts a set
    role = coalesce(:role, a.role),
    branches = coalesce(cast(:branches as text[]), a.branches),
    member_key = case
        when cast(:member_key as text) is null or exists (
            select from app.accounts o
            where o.member_key = :member_key and o.account_id <> a.account_id
                and o.disabled_at is null
        ) then a.member_key
        else :member_key
    end
where a.account_id = :account_id
