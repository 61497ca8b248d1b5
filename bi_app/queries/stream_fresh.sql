-- The newest event of the partition that is behind the most, by stream.
select stream, min(newest_at) as newest_at
from ops.stream_partitions
where 'silver.' || stream || '_by' = any(%(tables)s::text[])
group by stream
