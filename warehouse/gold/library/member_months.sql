-- title: Members by month
-- grain: one row a whole month in which something was lent
-- key: month
-- access: staff
-- lattice: block=month, count=borrowers, along=active_12_months+core_members+core_share
-- description: Active members (KPIS 18) of each whole month and of the twelve months that end with it, and the core customers among them (KPIS 21). A month is told once, a week after its end, and stays as it was told; fewer people than the setting suppress_below are withheld (docs/suppression.md). Months of which more than 5 % of the checkouts have lost their borrower by retention are left out.
-- column month: First day of the month
-- column borrowers: Members who borrowed at least once in the month, renewals not counted; null where withheld
-- column active_12_months: Members who borrowed at least once in the twelve whole months that end with this one; null where there are not twelve, or one of them is withheld
-- column core_members: Core customers: the 20 % of the members active in the twelve months with most checkouts, rounded up (KPIS 21); null as above, and where they are too few
-- column core_share: Share of the checkouts of these twelve months that the core customers made, in whole per cent; null as above, and where one of them made nearly all
with span as (select min(c.day) as first_day, max(c.day) as last_day from gold.library_circulation c),
lent as (
    select
        date_trunc('month', e.occurred_at)::date as month,
        e.source_code,
        nullif(e.member_key, repeat('0', 32)) as member_key,
        count(*) as checkouts
    from silver.library_loan_events e
    cross join span
    where e.kind = 'checkout'
      and date_trunc('month', e.occurred_at) + interval '1 month 6 days' <= span.last_day
      and date_trunc('month', e.occurred_at) + interval '7 days' >= span.first_day
    group by 1, 2, 3
),
months as (
    select
        l.month,
        count(*) filter (where l.member_key is not null)::integer as borrowers,
        sum(l.checkouts) as checkouts,
        coalesce(sum(l.checkouts) filter (where l.member_key is null), 0) as forgotten
    from lent l
    group by l.month
),
years as (
    select m.month
    from months m
    join months w on w.month > m.month - interval '12 months' and w.month <= m.month
    where {{new(m.month)}}
    group by m.month
    having count(*) = 12
        and bool_and(w.borrowers = 0 or w.borrowers >= {{least}})
        and sum(w.forgotten) <= 0.05 * sum(w.checkouts)
),
ranked as (
    select
        b.month,
        b.checkouts,
        row_number() over (partition by b.month order by b.checkouts desc) as place,
        count(*) over (partition by b.month) as people
    from (
        select y.month, l.source_code, l.member_key, sum(l.checkouts) as checkouts
        from years y
        join lent l on l.month > y.month - interval '12 months' and l.month <= y.month
        where l.member_key is not null
        group by y.month, l.source_code, l.member_key
    ) b
),
core as (
    select
        r.month,
        max(r.people)::integer as people,
        count(*) filter (where r.place <= ceil(r.people / 5.0))::integer as members,
        sum(r.checkouts) filter (where r.place <= ceil(r.people / 5.0)) as checkouts,
        sum(r.checkouts) as of_checkouts,
        -- p % rule, p = 10: the second could work out the first from the sum, to a tenth
        coalesce(
            sum(r.checkouts) filter (where r.place between 3 and ceil(r.people / 5.0))
            >= 0.1 * max(r.checkouts),
            false
        ) as is_safe
    from ranked r
    group by r.month
)
select
    m.month,
    m.borrowers,
    c.people as active_12_months,
    case when c.members >= {{least}} then c.members end as core_members,
    case
        when c.members >= {{least}} and c.is_safe
            then round(100 * c.checkouts / c.of_checkouts)::integer
    end as core_share
from months m
left join core c using (month)
where m.forgotten <= 0.05 * m.checkouts and {{new(m.month)}}
