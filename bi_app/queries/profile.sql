-- The newest profile of a dataset, a row a column.
select column_name as name, measures, at
from quality.latest_profiles
where dataset = %(dataset)s
order by position
