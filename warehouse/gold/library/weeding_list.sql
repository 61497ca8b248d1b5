-- title: Weeding list
-- grain: one row a copy held that meets the age or the use of its rule
-- key: source_code, item_code
-- access: branch=branch_code
-- description: Candidates for weeding by CREW (KPIS 8): a list to take to the shelf, where MUSTIE is judged by a person; nothing is ever removed by it. The years are CREW's rules of thumb, simplified; a library with others replaces this file by one of the same name in its project folder. Fiction is weeded by use alone, whatever its Dewey number. A copy whose year, or day of acquisition, is unknown cannot meet the age, or the use, on that account.
-- column source_code: System that the copy comes from
-- column item_code: Number of the copy
-- column branch_code: Branch that the copy belongs to
-- column title_code: Title, as source:number, as in gold.library_titles
-- column title: Title
-- column author: Author
-- column collection_code: Collection
-- column dewey_class: Dewey class in hundreds; null for what is shelved otherwise
-- column dewey: Dewey number
-- column published_year: Year of publication
-- column checkouts: Checkouts on record
-- column last_checkout_on: Day of the last checkout; null if there is none on record
-- column formula: The rule, as age / use / MUSTIE
-- column age_years: Years from publication to as_of_on
-- column unused_years: Years from the last checkout, or from the day it was added, to as_of_on
-- column too_old: Whether the age meets the rule; null where age does not apply or is unknown
-- column too_long_unused: Whether the use meets the rule; null where use does not apply or is unknown
-- column copies: Copies of the title that are held, at all branches
-- column price_amount: Price paid
-- column as_of_on: Day of the newest loan event
with rules (dewey_from, dewey_to, shelf, age_years, unused_years) as (
    -- -1: what bears no Dewey number, by a word in its collection's code; null: X
    values
        (0, 3, '', 5, null), (4, 6, '', 3, null), (7, 99, '', 5, null), (100, 199, '', 10, 3),
        (200, 299, '', 10, 3), (300, 309, '', 10, 3), (310, 319, '', 2, null),
        (320, 339, '', 5, 3), (340, 349, '', 10, null), (350, 369, '', 10, 3),
        (370, 399, '', 10, 3), (400, 499, '', 10, 3), (500, 599, '', 10, 3),
        (600, 619, '', 5, 3), (620, 639, '', 10, 3), (640, 649, '', 5, 3),
        (650, 699, '', 10, 3), (700, 769, '', null, 3), (770, 779, '', 5, 3),
        (780, 799, '', null, 3), (800, 899, '', null, 3), (900, 909, '', 15, 3),
        (910, 919, '', 5, 2), (920, 929, '', null, 3), (930, 999, '', 15, 3),
        (-1, -1, 'periodical', 3, null), (-1, -1, 'fiction', null, 2), (-1, -1, '', null, 3)
)
select
    c.source_code,
    c.item_code,
    c.branch_code,
    c.title_code,
    c.title,
    c.author,
    c.collection_code,
    c.dewey_class,
    c.dewey,
    c.published_year,
    c.checkouts,
    c.last_checkout_on,
    coalesce(r.age_years::text, 'X') || '/' || coalesce(r.unused_years::text, 'X') || '/MUSTIE'
        as formula,
    c.age_years,
    c.unused_years,
    c.age_years > r.age_years as too_old,
    c.unused_years > r.unused_years as too_long_unused,
    t.copies,
    c.price_amount,
    c.as_of_on
from (
    select
        u.*,
        i.title,
        i.author,
        i.dewey,
        i.price_amount,
        case
            when u.collection_code ~ '(^|_)fiction' or u.dewey_class is null then -1
            else substring(i.dewey from '[0-9]{3}')::integer
        end as dewey_number,
        extract(year from u.as_of_on)::integer - u.published_year as age_years,
        round((u.as_of_on - coalesce(u.last_checkout_on, u.acquired_on)) / 365.25, 1)
            as unused_years
    from gold.library_item_use u
    join silver.library_items i
        on i.source_code = u.source_code and i.item_code = u.item_code
    where u.is_held
) c
cross join lateral (
    select x.age_years, x.unused_years
    from rules x
    where c.dewey_number between x.dewey_from and x.dewey_to
        and (x.shelf = '' or c.collection_code ~ ('(^|_)' || x.shelf))
    order by x.shelf desc, x.dewey_from desc
    limit 1
) r
join gold.library_titles t on t.title_code = c.title_code
where c.age_years > r.age_years or c.unused_years > r.unused_years
