-- Changes with each batch of a stream, and when its sums are put right or restated.
select coalesce(sum(next_offset + extract(epoch from moved_at)), 0)::float8 as stamp
from ops.stream_partitions
where exists (
    select from unnest(%(tables)s::text[]) as asked (name)
    cross join (values ('_by'), ('_by_person'), ('_late'), ('_duplicates')) as parts (part)
    where name = 'silver.' || stream || part
)
