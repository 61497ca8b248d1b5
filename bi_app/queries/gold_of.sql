-- Gold tables with the datasets that each reads, and when each was published.
select p.table_name, c.title, p.published_at, p.complete_to, p.rows, p.sources
from ops.publications p join ops.catalogue c on c.layer = 'gold' and c.name = p.table_name
where %(dataset)s = any(p.sources)
order by c.title
