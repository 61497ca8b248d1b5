-- The viewer's own loans, one row each: running ones, and past ones lent since consent was given.
with loans as (
    select
        source_code,
        loan_id,
        min(item_code) as item_code,
        min(occurred_at) filter (where kind = 'checkout') as lent_at,
        min(branch_code) filter (where kind = 'checkout') as branch_code,
        (array_agg(due_on order by occurred_at desc)
            filter (where kind in ('checkout', 'renewal')))[1] as due_on,
        count(*) filter (where kind = 'renewal') as renewals,
        max(occurred_at) filter (where kind = 'return') as returned_at
    from silver.library_loan_events
    where loan_id is not null and member_key = %(member)s
    group by source_code, loan_id
),
consent as (
    select app.history_since(max(history_consent_on), %(zone)s) as since
    from silver.library_members
    where member_key = %(member)s
)
select
    coalesce(i.title, '(title unknown)') as title,
    coalesce(i.author, '') as author,
    coalesce(b.name, l.branch_code) as branch,
    l.lent_at::date as lent_on,
    l.due_on,
    l.renewals::int as renewals,
    l.returned_at::date as returned_on,
    (l.due_on - current_date)::int as days_left
from loans l
cross join consent c
left join silver.library_items i using (source_code, item_code)
left join gold.library_branch_names b on b.branch_code = l.branch_code
where l.lent_at is not null
  and (l.returned_at is null or l.lent_at >= c.since)
order by l.returned_at desc nulls first, l.due_on, l.lent_at
