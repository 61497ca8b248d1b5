-- title: Yesterday at the library, and a week before
select
    f.figure,
    f.value::numeric as value,
    f.earlier::numeric as earlier,
    false as look,
    case
        when c.newest < %(yesterday)s::date then 'newest day: ' || c.newest
        else ''
    end as note
from (
    select
        max(day) as newest,
        coalesce(sum(checkouts) filter (where day = %(yesterday)s::date), 0) as checkouts,
        coalesce(sum(checkouts) filter (where day = %(yesterday)s::date - 7), 0) as checkouts_7,
        coalesce(sum(renewals) filter (where day = %(yesterday)s::date), 0) as renewals,
        coalesce(sum(renewals) filter (where day = %(yesterday)s::date - 7), 0) as renewals_7,
        coalesce(sum(returns) filter (where day = %(yesterday)s::date), 0) as returns,
        coalesce(sum(returns) filter (where day = %(yesterday)s::date - 7), 0) as returns_7
    from gold.library_circulation_public
) c
cross join lateral (
    values
        ('checkouts', c.checkouts, c.checkouts_7),
        ('renewals', c.renewals, c.renewals_7),
        ('returns', c.returns, c.returns_7)
) f (figure, value, earlier)
where c.newest is not null
