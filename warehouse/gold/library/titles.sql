-- title: Titles
-- grain: one row a title of the catalogue
-- key: title_code
-- access: public
-- description: What the catalogue says of a title. Where copies of one title differ, the copy with the lowest number decides.
-- column title_code: Title, as source:number, unique over all systems
-- column title: Title
-- column author: Author as Surname, First name
-- column isbn: ISBN with 13 digits, where there is one
-- column collection_code: Collection
-- column dewey_class: Dewey class in hundreds; null for what is shelved otherwise
-- column published_year: Year of publication
-- column copies: Copies held, withdrawn ones not counted
select
    i.source_code || ':' || i.title_code as title_code,
    (array_agg(i.title order by i.item_code))[1] as title,
    (array_agg(i.author order by i.item_code) filter (where i.author is not null))[1] as author,
    (array_agg(i.isbn order by i.item_code) filter (where i.isbn is not null))[1] as isbn,
    (array_agg(i.collection_code order by i.item_code))[1] as collection_code,
    (array_agg(i.dewey_class order by i.item_code) filter (where i.dewey_class is not null))[1]
        as dewey_class,
    (array_agg(i.published_year order by i.item_code)
        filter (where i.published_year is not null))[1] as published_year,
    (count(*) filter (where i.withdrawn_on is null))::integer as copies
from silver.library_items i
group by i.source_code, i.title_code
