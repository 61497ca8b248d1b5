-- Copies added, withdrawn and held, by branch, collection and year.
select branch_code, collection_code, year, added, withdrawn, held
from gold.library_stock_years
