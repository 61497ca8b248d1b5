-- What the provider says of an account, where it says anything; one account a member.
with wanted as (
    select a.account_id,
        coalesce(:role, a.role) as role,
        coalesce(cast(:branches as text[]), a.branches) as branches,
        case
            when cast(:member_key as text) is null or exists (
                select from app.accounts o
                where o.member_key = :member_key and o.account_id <> a.account_id
                    and o.disabled_at is null
            ) then a.member_key
            else :member_key
        end as member_key
    from app.accounts a where a.account_id = :account_id
)
update app.accounts a
set role = w.role, branches = w.branches, member_key = w.member_key
from wanted w
where a.account_id = w.account_id
  and (a.role, a.branches, a.member_key) is distinct from (w.role, w.branches, w.member_key)
returning a.email, a.role, a.branches
