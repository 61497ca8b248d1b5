-- What was charged, paid and waived, by branch and month.
select branch_code, month, kind, amount::float8 as amount, entries
from gold.library_fine_months
order by month
