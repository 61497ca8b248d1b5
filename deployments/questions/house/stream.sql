-- title: How the stream stands
-- description: Each partition: what became of its events, the newest event, and who reads it
select
    p.stream, p.partition, p.next_offset, p.events, p.counted, p.late, p.duplicates, p.quarantined,
    p.newest_at, p.moved_at, p.held_until > now() as is_read
from ops.stream_partitions p
order by 1, 2
