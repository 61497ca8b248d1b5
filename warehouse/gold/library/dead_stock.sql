-- title: Dead stock
-- grain: one row a copy held for more than a year and not lent within a year
-- key: source_code, item_code
-- access: branch=branch_code
-- description: Candidates for weeding or promotion (KPIS 5, 6): a list to look at on the shelf, never to delete by. Copies whose day of acquisition is unknown are in it.
-- column source_code: System that the copy comes from
-- column item_code: Number of the copy
-- column branch_code: Branch that the copy belongs to
-- column title_code: Title, as source:number, as in gold.library_titles
-- column title: Title
-- column author: Author
-- column collection_code: Collection
-- column dewey_class: Dewey class in hundreds
-- column published_year: Year of publication
-- column acquired_on: Day the copy was added
-- column reason: never_used: no checkout on record; dead_on_arrival: added one to two years ago and lent at most once; not_used_1y, _3y, _5y: last lent that long ago
-- column checkouts: Checkouts on record
-- column last_checkout_on: Day of the last checkout
-- column days_unused: Days from the last checkout, or from the day it was added, to as_of_on
-- column price_amount: Price paid
-- column as_of_on: Day of the newest loan event
select
    u.source_code,
    u.item_code,
    u.branch_code,
    u.title_code,
    i.title,
    i.author,
    u.collection_code,
    u.dewey_class,
    u.published_year,
    u.acquired_on,
    case
        when u.checkouts <= 1 and u.acquired_on > u.as_of_on - interval '2 years'
            then 'dead_on_arrival'
        when u.checkouts = 0 then 'never_used'
        when u.last_checkout_on < u.as_of_on - interval '5 years' then 'not_used_5y'
        when u.last_checkout_on < u.as_of_on - interval '3 years' then 'not_used_3y'
        else 'not_used_1y'
    end as reason,
    u.checkouts,
    u.last_checkout_on,
    u.as_of_on - coalesce(u.last_checkout_on, u.acquired_on) as days_unused,
    i.price_amount,
    u.as_of_on
from gold.library_item_use u
join silver.library_items i on i.source_code = u.source_code and i.item_code = u.item_code
where u.is_held
    and (u.acquired_on is null or u.acquired_on <= u.as_of_on - interval '1 year')
    and (u.last_checkout_on is null or u.last_checkout_on < u.as_of_on - interval '1 year')
