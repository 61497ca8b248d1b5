-- Records held back by rule, of the datasets named.
select d as dataset, q.*
from unnest(%(datasets)s::text[]) as d, quality.quarantine_rules(d, 5) as q
order by q.newest desc, q.records desc
limit 200
