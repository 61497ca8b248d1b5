-- The viewer's loans that are over, one row each: PostgreSQL shows those that began since consent.
with loans as (
    select
        source_code,
        loan_id,
        min(item_code) as item_code,
        min(occurred_at) filter (where kind = 'checkout') as lent_at,
        min(branch_code) filter (where kind = 'checkout') as branch_code,
        count(*) filter (where kind = 'renewal')::int as renewals,
        max(occurred_at) filter (where kind = 'return') as returned_at
    from silver.library_loan_events
    where loan_id is not null and member_key = %(member)s
    group by source_code, loan_id
)
select
    coalesce(i.title, '(title unknown)') as title,
    coalesce(i.author, '') as author,
    i.dewey_class,
    coalesce(i.item_type, 'unknown') as item_type,
    coalesce(b.name, l.branch_code) as branch,
    l.lent_at::date as lent_on,
    l.returned_at::date as returned_on,
    l.renewals
from loans l
left join silver.library_items i using (source_code, item_code)
left join gold.library_branch_names b on b.branch_code = l.branch_code
where l.lent_at is not null and l.returned_at is not null
order by l.returned_at desc, l.lent_at desc, title
