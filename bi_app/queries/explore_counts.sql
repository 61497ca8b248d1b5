-- How many rows have each value of a column, or of what is worked out from it.
select left({value}::text, 200) as value, count(*) as rows
from {table}
group by 1
order by {order}
limit %(limit)s
