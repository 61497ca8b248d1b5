-- title: Cancellations
-- grain: one row a month, country, product and outcome
-- key: month, country, stock_code, outcome
-- access: staff
-- description: Lines of cancelling invoices, by whether the sale that each takes back was found: of the same customer and product, earlier, with at least as many pieces not yet taken back, the latest such.
-- column month: First day of the month of the cancellation
-- column country: Country of the customer
-- column stock_code: Product
-- column outcome: matched; else no customer, no earlier sale, or more than was sold
-- column lines: Lines of cancelling invoices
-- column pieces: Pieces taken back
-- column amount: What was taken back
-- column days_after: Days from the sale to its cancellation, summed over the lines; null where no sale was found
select
    date_trunc('month', c.day)::date as month,
    c.country,
    c.stock_code,
    c.outcome,
    count(*) as lines,
    sum(c.pieces)::bigint as pieces,
    sum(c.amount) as amount,
    sum(c.days_after) as days_after
from silver.retail_sales_cancellations c
group by 1, 2, 3, 4
