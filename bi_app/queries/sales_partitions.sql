-- How far each partition of the log has been read.
select
    partition, newest_at, moved_at, next_offset, events, counted, late, duplicates, quarantined,
    coalesce(held_until > now(), false) as held
from ops.stream_partitions
where stream = %(stream)s and topic = %(topic)s
order by partition
