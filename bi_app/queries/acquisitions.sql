-- What was bought and lent, by branch and collection.
select branch_code, collection_code, orders, copies, copies_open, orders_cancelled,
    spent::float8 as spent, orders_received, delivery_days, circulation
from gold.library_acquisitions
