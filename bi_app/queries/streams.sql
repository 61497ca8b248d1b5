-- Each stream that was ever consumed: its metrics, as one object, and when they were asked for.
select stream, json_object_agg(metric, value) as now, now() as asked_at
from ops.stream_metrics
group by stream
order by stream
