-- The viewer's holds that are over: PostgreSQL shows those that were placed since consent.
select
    coalesce(t.title, '(title unknown)') as title,
    coalesce(t.author, '') as author,
    h.status as state,
    coalesce(b.name, h.branch_code) as branch,
    h.placed_at::date as placed_on,
    h.ended_at::date as ended_on
from silver.library_holds h
left join lateral (
    select min(i.title) as title, min(i.author) as author
    from silver.library_items i
    where i.source_code = h.source_code and i.title_code = h.title_code
) t on true
left join gold.library_branch_names b on b.branch_code = h.branch_code
where h.status in ('collected', 'expired', 'cancelled') and h.member_key = %(member)s
order by h.ended_at desc nulls last, h.placed_at desc
