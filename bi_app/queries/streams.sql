-- Each stream that was ever consumed: its metrics, as one object.
select stream, json_object_agg(metric, value) as now
from ops.stream_metrics
group by stream
order by stream
