-- Daily circulation by kind; branch and kind are places in lists, a day the days since 1970.
select
    (array_position(%(codes)s::text[], branch_code) - 1)::int2 as branch,
    (day - date '1970-01-01')::int4 as day,
    (array_position(%(kinds)s::text[], item_type || '|' || dewey_class) - 1)::int2 as kind,
    checkouts::int4 as checkouts,
    renewals::int4 as renewals,
    returns::int4 as returns,
    in_house_uses::int4 as in_house_uses
from gold.library_circulation_kinds
where branch_code = any(%(codes)s::text[])
