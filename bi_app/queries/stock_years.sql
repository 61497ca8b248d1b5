-- Copies held by branch, collection, Dewey class and year of publication.
select branch_code, collection_code, dewey_class, published_year, count(*)::integer as items
from gold.library_item_use
where is_held
group by branch_code, collection_code, dewey_class, published_year
