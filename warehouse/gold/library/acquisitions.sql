-- title: Acquisitions and demand
-- grain: one row a branch and collection with an order or a loan on the 365 days that end on as_of_on
-- key: branch_code, collection_code
-- access: branch=branch_code
-- description: What was bought beside what was lent (KPIS 16). An order belongs to the collection of its title, and to "unknown" where the catalogue does not have the title yet. The branch is the one that the order is for, and the one that the lent copies belong to.
-- column branch_code: Branch
-- column collection_code: Collection, or unknown
-- column orders: Orders made on these days, cancelled ones not counted
-- column copies: Copies ordered with them
-- column copies_open: Of these, the copies that have not arrived
-- column orders_cancelled: Orders made on these days and cancelled
-- column spent: Price of the copies ordered, in the library's currency; a copy without a price counts nothing
-- column orders_received: Orders made on these days that have arrived
-- column delivery_days: Days from order to arrival, summed over orders_received
-- column circulation: Checkouts of the branch's copies of this collection on these days (KPIS 1)
-- column as_of_on: Day of the newest loan event
with newest as (select max(u.as_of_on) as day from gold.library_item_use u),
bought as (
    select
        o.branch_code,
        coalesce(t.collection_code, 'unknown') as collection_code,
        count(*) filter (where o.status <> 'cancelled') as orders,
        coalesce(sum(o.copies) filter (where o.status <> 'cancelled'), 0) as copies,
        coalesce(sum(o.copies) filter (where o.status = 'ordered'), 0) as copies_open,
        count(*) filter (where o.status = 'cancelled') as orders_cancelled,
        coalesce(sum(o.copies * o.price_amount) filter (where o.status <> 'cancelled'), 0)
            as spent,
        count(*) filter (where o.received_on is not null) as orders_received,
        coalesce(sum(o.received_on - o.ordered_on), 0) as delivery_days
    from silver.library_orders o
    cross join newest
    left join gold.library_titles t on t.title_code = o.source_code || ':' || o.title_code
    where o.ordered_on between newest.day - 364 and newest.day
    group by o.branch_code, coalesce(t.collection_code, 'unknown')
),
lent as (
    select s.branch_code, s.part as collection_code, s.circulation
    from gold.library_stock_use s
    where s.division = 'collection' and s.circulation > 0
)
select
    coalesce(b.branch_code, l.branch_code) as branch_code,
    coalesce(b.collection_code, l.collection_code) as collection_code,
    coalesce(b.orders, 0)::integer as orders,
    coalesce(b.copies, 0)::integer as copies,
    coalesce(b.copies_open, 0)::integer as copies_open,
    coalesce(b.orders_cancelled, 0)::integer as orders_cancelled,
    coalesce(b.spent, 0)::numeric as spent,
    coalesce(b.orders_received, 0)::integer as orders_received,
    coalesce(b.delivery_days, 0)::integer as delivery_days,
    coalesce(l.circulation, 0)::integer as circulation,
    newest.day as as_of_on
from bought b
full join lent l on l.branch_code = b.branch_code and l.collection_code = b.collection_code
cross join newest
where newest.day is not null
