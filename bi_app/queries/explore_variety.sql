-- How many different values columns have among some rows, and how many rows those are.
select {counts}, count(*) as "rows of the sample"
from (select {columns} from {table} limit %(most)s) as sample
