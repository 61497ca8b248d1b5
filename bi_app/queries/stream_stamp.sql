-- Changes with each batch of a stream, and when its sums are put right or restated.
select coalesce(sum(next_offset + extract(epoch from moved_at)), 0)::float8 as stamp
from ops.stream_partitions
where 'silver.' || stream || '_by' = any(%(tables)s::text[])
