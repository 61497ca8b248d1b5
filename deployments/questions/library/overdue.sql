-- title: Loans overdue
-- description: Loans that are out by branch: how many, how many overdue, and for more than so many days
-- parameter days: integer = 30: Days that count as long
select
    o.branch_code,
    sum(o.loans) as loans_out,
    coalesce(sum(o.loans) filter (where o.days_overdue > 0), 0) as overdue,
    coalesce(sum(o.loans) filter (where o.days_overdue > %(days)s::integer), 0) as long_overdue,
    max(o.as_of_on) as as_of_on
from gold.library_loans_out o
group by o.branch_code
order by overdue desc, o.branch_code
