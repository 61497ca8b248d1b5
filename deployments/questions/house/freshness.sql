-- title: How fresh the figures are
-- description: Gold tables, the oldest first: when each was published, and up to when it is complete
select p.table_name, p.published_at, p.complete_to, p.rows
from ops.publications p
order by p.complete_to, p.table_name
