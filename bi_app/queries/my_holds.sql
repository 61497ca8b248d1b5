-- The viewer's own running holds.
select
    coalesce(t.title, '(title unknown)') as title,
    coalesce(t.author, '') as author,
    coalesce(b.name, h.branch_code) as branch,
    h.placed_at::date as placed_on,
    case when h.frozen then 'put off' when h.status = 'on_shelf' then 'ready to collect'
        else 'waiting' end as state
from silver.library_holds h
left join lateral (
    select min(i.title) as title, min(i.author) as author
    from silver.library_items i
    where i.source_code = h.source_code and i.title_code = h.title_code
) t on true
left join gold.library_branch_names b on b.branch_code = h.branch_code
where h.status in ('waiting', 'on_shelf') and h.member_key = %(member)s
order by h.status, h.placed_at
