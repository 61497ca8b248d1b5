-- Loans of each year by branch and collection.
select
    m.branch_code,
    extract(year from m.month)::integer as year,
    coalesce(t.collection_code, 'unknown') as collection_code,
    sum(m.checkouts)::integer as checkouts,
    sum(m.renewals)::integer as renewals
from gold.library_title_months m
left join gold.library_titles t on t.title_code = m.title_code
group by 1, 2, 3
