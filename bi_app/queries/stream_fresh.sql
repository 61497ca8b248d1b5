-- The newest event of the partition that is behind the most, by stream.
select stream, min(newest_at) as newest_at
from ops.stream_partitions
where exists (
    select from unnest(%(tables)s::text[]) as asked (name)
    cross join (values ('_by'), ('_by_person'), ('_late'), ('_duplicates')) as parts (part)
    where name = 'silver.' || stream || part
)
group by stream
