-- Changes whenever a table is published anew.
select coalesce(max(extract(epoch from published_at)), 0)::float as stamp
from ops.publications
where table_name = any(%(tables)s::text[])
