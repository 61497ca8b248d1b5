-- What is lent, as the viewer sees it: kind of material and Dewey class.
select item_type, dewey_class, item_type || '|' || dewey_class as kind
from (select distinct item_type, dewey_class from gold.library_circulation_kinds) k
order by item_type, dewey_class
