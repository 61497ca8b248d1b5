-- Which of some tables there are that the viewer's role may read.
select coalesce(array_agg(t), '{{}}') as tables
from unnest(%(tables)s::text[]) as t
where to_regclass(t) is not null and has_any_column_privilege(to_regclass(t), 'select')
