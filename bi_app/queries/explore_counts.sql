-- The most frequent values of a column.
select left({column}::text, 200) as value, count(*) as rows
from {table}
group by 1
order by 2 desc, 1
limit %(limit)s
