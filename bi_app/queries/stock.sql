-- Use of each part of the stock, by branch.
select branch_code, division, part, holdings, circulation, renewals, used_1y, used_3y, used_5y,
    never_used, arrived_1y_2y, dead_on_arrival, as_of_on
from gold.library_stock_use
