-- Failures by kind: how many in the last thirty days, by day, and the newest of each kind.
select category, sum(n)::int as times, max(last_at) as last_at,
    (array_agg(message order by last_at desc))[1] as message,
    (array_agg(dataset order by last_at desc))[1] as dataset,
    jsonb_object_agg(day, n) as days
from (
    select category, (at at time zone %(zone)s)::date as day, count(*) as n, max(at) as last_at,
        (array_agg(message order by at desc))[1] as message,
        (array_agg(dataset order by at desc))[1] as dataset
    from ops.failures where at > now() - interval '30 days' group by 1, 2
) daily
group by category
order by times desc
