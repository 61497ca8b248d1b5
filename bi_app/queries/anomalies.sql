-- What was unlike its own history of late, the newest first, with the metric's values up to that day.
select a.dataset, d.title, a.metric, a.kind, a.day, a.value, a.low, a.high, a.severity, a.message,
    t.trend
from quality.anomalies a
join ops.catalogue d on d.layer = 'silver' and d.name = a.dataset
cross join lateral (
    select array_agg(value order by day desc, at desc) as trend
    from (
        select value, day, at from quality.metrics
        where dataset = a.dataset and metric = a.metric and day <= a.day
        order by day desc limit 30
    ) last
) t
where a.day > current_date - 30 and (%(dataset)s::text is null or a.dataset = %(dataset)s)
order by a.day desc, a.severity = 'critical' desc, a.score desc
limit 50
