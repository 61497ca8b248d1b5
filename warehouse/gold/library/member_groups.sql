-- title: Members by group
-- grain: one row a quarter, dimension and category of it
-- key: quarter, dimension, category
-- access: staff
-- lattice: block=quarter, margin=dimension, cell=category, count=active, bound=members, unsafe=unsafe
-- description: Active members (KPIS 18) of each whole quarter, by branch, area, kind of membership, and quarter of joining (the cohorts of KPIS 20). A member is in one category of each dimension, so that each adds up to the row of `all`. Counts of fewer people than the setting suppress_below are withheld, with others that would give them away; a quarter is told once, a week after its end, and stays as it was told (docs/suppression.md). Area and kind are those of the day of telling.
-- column quarter: First day of the quarter
-- column dimension: all, area, branch, joined or kind
-- column category: Area, branch, first day of the quarter of joining, or kind of membership; earlier: joined more than eleven quarters before, or on a day not known; unknown: not on record
-- column active: Members who borrowed at least once in the quarter, renewals not counted; branch: the one where the member borrowed most; null where withheld
-- column members: Of a cohort, the members who joined in that quarter and are on record; null elsewhere, and where it is small
with span as (select min(c.day) as first_day, max(c.day) as last_day from gold.library_circulation c),
lent as (
    select
        date_trunc('quarter', e.occurred_at)::date as quarter,
        date_trunc('month', e.occurred_at)::date as month,
        e.source_code,
        nullif(e.member_key, repeat('0', 32)) as member_key,
        e.branch_code,
        count(*) as checkouts
    from silver.library_loan_events e
    cross join span
    where e.kind = 'checkout'
      and date_trunc('quarter', e.occurred_at) + interval '3 months 6 days' <= span.last_day
      and date_trunc('quarter', e.occurred_at) + interval '7 days' >= span.first_day
      and {{new(date_trunc('quarter', e.occurred_at)::date)}}
    group by 1, 2, 3, 4, 5
),
quarters as (  -- where too many persons were forgotten already, the count would be too low
    select l.quarter
    from lent l
    group by l.quarter
    having coalesce(sum(l.checkouts) filter (where l.member_key is null), 0)
        <= 0.05 * sum(l.checkouts)
),
small_months as (  -- the table of months withholds these; the quarter would give them away
    select distinct m.quarter
    from (
        select l.quarter, count(distinct (l.source_code, l.member_key)) as people
        from lent l
        where l.member_key is not null
        group by l.quarter, l.month
    ) m
    where m.people between 1 and {{least}} - 1
),
people as (
    select
        b.quarter,
        b.source_code,
        b.member_key,
        (array_agg(b.branch_code order by b.checkouts desc, b.branch_code))[1] as branch_code
    from (
        select l.quarter, l.source_code, l.member_key, l.branch_code, sum(l.checkouts) as checkouts
        from lent l
        join quarters using (quarter)
        where l.member_key is not null
        group by l.quarter, l.source_code, l.member_key, l.branch_code
    ) b
    group by b.quarter, b.source_code, b.member_key
),
counted as (
    select p.quarter, d.dimension, d.category, count(*)::integer as active
    from people p
    left join silver.library_members m using (source_code, member_key)
    cross join lateral (
        values
            ('all', 'all'),
            ('branch', p.branch_code),
            ('area', coalesce(m.area_code, 'unknown')),
            ('kind', coalesce(m.member_type, 'unknown')),
            ('joined', case
                when m.joined_on >= p.quarter - interval '33 months'
                    and m.joined_on < p.quarter + interval '3 months'
                    then to_char(date_trunc('quarter', m.joined_on), 'YYYY-MM-DD')
                else 'earlier'
            end)
    ) d (dimension, category)
    group by p.quarter, d.dimension, d.category
),
domains as (  -- every category, so that an empty one is told as 0
    select 'all' as dimension, 'all' as category
    union select 'branch', b.branch_code from gold.library_branch_names b
    union select 'branch', p.branch_code from people p
    union select 'area', coalesce(m.area_code, 'unknown') from silver.library_members m
    union select 'kind', m.member_type from silver.library_members m
    union select d, 'unknown' from (values ('area'), ('kind')) v (d)
    union select 'joined', 'earlier'
),
cells as (
    select q.quarter, d.dimension, d.category, null::integer as members
    from quarters q
    cross join domains d
    union all
    select
        q.quarter,
        'joined',
        to_char(c.quarter, 'YYYY-MM-DD'),
        (
            select count(*)
            from silver.library_members m
            where m.joined_on >= c.quarter and m.joined_on < c.quarter + interval '3 months'
        )::integer
    from quarters q
    cross join lateral generate_series(q.quarter - interval '33 months', q.quarter, '3 months')
        as c (quarter)
)
select
    c.quarter,
    c.dimension,
    c.category,
    coalesce(n.active, 0) as active,
    c.members,
    c.dimension = 'all' and exists (
        select from small_months s where s.quarter = c.quarter
    ) as unsafe
from cells c
left join counted n using (quarter, dimension, category)
