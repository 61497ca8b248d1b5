-- The newest profile of a dataset, a row a column.
select to_jsonb(p) ->> 'column_name' as name, p.measures, p.at
from quality.profiles p
where p.dataset = any(%(names)s)
    and p.at = (select max(at) from quality.profiles where dataset = any(%(names)s))
order by to_jsonb(p) -> 'position'
