-- Every title, with a number that stands for its code.
select
    hashtextextended(title_code, 0) as number,
    coalesce(title, '(title unknown)') as title,
    coalesce(author, '') as author,
    coalesce(collection_code, '') as collection,
    copies::int4 as copies
from gold.library_titles
order by number
