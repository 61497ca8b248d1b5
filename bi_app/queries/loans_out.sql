-- Loans that are out, by branch, kind of material and days overdue.
select branch_code, item_type, days_overdue, loans, as_of_on
from gold.library_loans_out
