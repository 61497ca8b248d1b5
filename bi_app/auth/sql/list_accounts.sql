-- Accounts with their state, for admins: waiting, invited, active or disabled.
select
    a.account_id, a.email, a.name, a.role, a.branches, a.member_key, a.created_at,
    case
        when a.disabled_at is not null then 'disabled'
        when a.approved_at is null then 'waiting'
        when a.has_password or i.account_id is not null then 'active'
        else 'invited'
    end as state,
    app.member_is_known(a.stated_key) as states_known_member,
    f.account_id is not null as second_factor,
    i.account_id is not null as signs_in_elsewhere,
    coalesce(s.live, 0) as sessions,
    s.seen_at as last_seen_at
from app.accounts a
left join app.second_factors f on f.account_id = a.account_id and f.confirmed_at is not null
left join lateral (
    select account_id from app.identities where account_id = a.account_id limit 1
) i on true
left join lateral (
    select
        max(seen_at) as seen_at,
        count(*) filter (
            where ended_at is null and expires_at > now()
                and seen_at > now() - make_interval(mins => :idle_minutes)
        ) as live
    from app.sessions where account_id = a.account_id
) s on true
where cast(:account_id as bigint) is null or a.account_id = :account_id
order by a.role, lower(a.email)
