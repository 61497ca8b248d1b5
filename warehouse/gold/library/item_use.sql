-- title: Use of each copy
-- grain: one row a copy of the catalogue, withdrawn ones too
-- key: source_code, item_code
-- access: branch=branch_code
-- description: What the reports on the stock are computed from: one pass over the loan events. "Today" is the day of the newest loan event (as_of_on), so that a report of an old export is right for its time.
-- column source_code: System that the copy comes from
-- column item_code: Number of the copy
-- column title_code: Title, as source:number, as in gold.library_titles
-- column branch_code: Branch that the copy belongs to
-- column collection_code: Collection
-- column dewey_class: Dewey class in hundreds; null for what is shelved otherwise
-- column published_year: Year of publication
-- column acquired_on: Day the copy was added
-- column is_held: Whether the copy is a holding on as_of_on: not withdrawn by then
-- column checkouts: Checkouts since records began, wherever they took place
-- column checkouts_365_days: Checkouts on the 365 days that end on as_of_on
-- column renewals_365_days: Renewals on the 365 days that end on as_of_on
-- column last_checkout_on: Day of the last checkout; null if there is none on record
-- column as_of_on: Day of the newest loan event
with newest as (select coalesce(max(c.day), current_date) as day from gold.library_circulation c)
select
    i.source_code,
    i.item_code,
    i.source_code || ':' || i.title_code as title_code,
    i.branch_code,
    i.collection_code,
    i.dewey_class,
    i.published_year,
    i.acquired_on,
    (i.withdrawn_on is null or i.withdrawn_on > newest.day) as is_held,
    coalesce(u.checkouts, 0)::integer as checkouts,
    coalesce(u.checkouts_365_days, 0)::integer as checkouts_365_days,
    coalesce(u.renewals_365_days, 0)::integer as renewals_365_days,
    u.last_checkout_at::date as last_checkout_on,
    newest.day as as_of_on
from silver.library_items i
cross join newest
left join (
    select
        e.source_code,
        e.item_code,
        count(*) filter (where e.kind = 'checkout') as checkouts,
        count(*) filter (where e.kind = 'checkout' and e.occurred_at >= newest.day - 364)
            as checkouts_365_days,
        count(*) filter (where e.kind = 'renewal' and e.occurred_at >= newest.day - 364)
            as renewals_365_days,
        max(e.occurred_at) filter (where e.kind = 'checkout') as last_checkout_at
    from silver.library_loan_events e
    cross join newest
    where e.kind in ('checkout', 'renewal')
    group by e.source_code, e.item_code
) u on u.source_code = i.source_code and u.item_code = i.item_code
