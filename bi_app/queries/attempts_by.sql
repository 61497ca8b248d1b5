-- Failed sign-ins by account, or by address: the most tried first.
with s as (
    select {by} as tried, {other} as other, outcome, at
    from app.sign_ins
    where outcome <> 'asked' and at > now() - make_interval(days => %(days)s)
),
failed as (
    select tried, count(*) filter (where outcome <> 'ok')::integer as attempts,
        count(distinct other) filter (where outcome <> 'ok')::integer as others,
        count(*) filter (where outcome = 'locked')::integer as locked,
        count(*) filter (where outcome = 'second')::integer as second,
        max(at) filter (where outcome <> 'ok') as last_at,
        max(at) filter (where outcome = 'ok') as ok_at
    from s group by tried
)
select f.*, exists (select from app.accounts a where lower(a.email) = f.tried) as known
from failed f
where attempts > 0
order by attempts desc, tried
limit 200
