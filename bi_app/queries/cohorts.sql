-- Customers by month and by the month of their first order; few are withheld.
select month, dimension, category, customers, size, suppressed
from gold.retail_cohorts
order by month, dimension, category
