-- How many holds waited how many days, by branch and month.
select branch_code, month, wait_days, holds
from gold.library_hold_waits
order by month
