-- title: Fines by month
-- grain: one row a branch, month and kind of entry
-- key: branch_code, month, kind
-- access: branch=branch_code
-- description: What was charged, paid and waived (KPIS 22). It sums entries and names no one.
-- column branch_code: Branch where the copy was returned
-- column month: First day of the month
-- column kind: charged, paid or waived
-- column amount: Sum, in the library's currency
-- column entries: Entries that it sums
select
    f.branch_code,
    date_trunc('month', f.charged_at)::date as month,
    f.kind,
    sum(f.amount) as amount,
    count(*)::integer as entries
from silver.library_fines f
group by 1, 2, 3
