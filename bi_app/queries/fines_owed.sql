-- What is still owed, by branch and age in months.
select branch_code, months, owed::float8 as owed, loans
from gold.library_fines_owed
