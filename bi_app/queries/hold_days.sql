-- What has become of the holds placed on each day, by branch.
select branch_code, placed_on, placed, active, frozen, on_shelf, collected, expired, cancelled,
    as_of_on
from gold.library_hold_days
order by placed_on
