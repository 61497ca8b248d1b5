-- Hourly circulation; a branch is its place in `codes`, a day the days since 1970.
select
    (array_position(%(codes)s::text[], branch_code) - 1)::int2 as branch,
    (day - date '1970-01-01')::int4 as day,
    hour::int2 as hour,
    checkouts::int4 as checkouts,
    renewals::int4 as renewals,
    returns::int4 as returns,
    in_house_uses::int4 as in_house_uses
from {circulation}
where branch_code = any(%(codes)s::text[])
