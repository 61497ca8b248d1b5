-- title: Loans of each title by month, all branches together
-- grain: one row a month and title that was lent or renewed
-- key: month, branch_code, title_code
-- access: public
-- refresh: month from library_loan_events
-- description: The sums of gold.library_title_months over all branches, for everyone who is signed in. It counts events, not people.
-- column branch_code: Always all
-- column month: First day of the month
-- column title_code: Title, as source:number, as in gold.library_titles
-- column checkouts: Checkouts, renewals excluded (KPIS 1)
-- column renewals: Renewals (KPIS 1)
select
    'all'::text as branch_code,
    m.month,
    m.title_code,
    sum(m.checkouts)::integer as checkouts,
    sum(m.renewals)::integer as renewals
from gold.library_title_months m
where {{days(m.month)}}
group by m.month, m.title_code
