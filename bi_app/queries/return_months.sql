-- How late copies come back, by branch, month and kind of material.
select branch_code, month, item_type, days_late, returns
from gold.library_return_months
order by month
