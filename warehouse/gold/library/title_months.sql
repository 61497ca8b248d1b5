-- title: Loans of each title by month
-- grain: one row a branch, month and title that was lent or renewed
-- key: month, branch_code, title_code
-- access: branch=branch_code
-- refresh: month from library_loan_events
-- description: For popular and trending titles (KPIS 15). Events of copies that the catalogue does not know are left out, so that the sums can be lower than circulation. Names of titles stand in gold.library_titles.
-- column branch_code: Branch where the title was lent
-- column month: First day of the month
-- column title_code: Title, as source:number, as in gold.library_titles
-- column checkouts: Checkouts, renewals excluded (KPIS 1)
-- column renewals: Renewals (KPIS 1)
select
    e.branch_code,
    date_trunc('month', e.occurred_at)::date as month,
    i.source_code || ':' || i.title_code as title_code,
    (count(*) filter (where e.kind = 'checkout'))::integer as checkouts,
    (count(*) filter (where e.kind = 'renewal'))::integer as renewals
from silver.library_loan_events e
join silver.library_items i on i.source_code = e.source_code and i.item_code = e.item_code
where e.kind in ('checkout', 'renewal') and {{days(e.occurred_at)}}
group by e.branch_code, date_trunc('month', e.occurred_at)::date, i.source_code, i.title_code
