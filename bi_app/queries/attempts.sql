-- Failed sign-ins by day, with the days without any.
select d.day::date as day, coalesce(f.attempts, 0) as attempts
from generate_series(
    date_trunc('day', now() at time zone %(zone)s) - make_interval(days => %(days)s - 1),
    date_trunc('day', now() at time zone %(zone)s), interval '1 day'
) as d (day)
left join (
    select date_trunc('day', at at time zone %(zone)s) as day, count(*)::integer as attempts
    from app.sign_ins
    where outcome not in ('ok', 'asked') and at > now() - make_interval(days => %(days)s + 1)
    group by 1
) f using (day)
order by 1
