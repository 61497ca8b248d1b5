-- Pages by how often they were opened and by how many.
select subject as page, count(*)::integer as views, count(distinct who)::integer as people,
    max(at) as last_at
from audit.entries
where act = 'view' and door = 'page' and at > now() - make_interval(days => %(days)s)
group by subject
order by 2 desc, 1
limit 100
