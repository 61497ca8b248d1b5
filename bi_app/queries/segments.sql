-- Customers by month, dimension and category; few are withheld.
select month, dimension, category, customers, orders, net::float8 as net, suppressed
from gold.retail_segments
order by month, dimension, category
