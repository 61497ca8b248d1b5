-- Monthly loans of each title; a month is the days since 1970 of its first, a title its number.
select
    (array_position(%(codes)s::text[], branch_code) - 1)::int2 as branch,
    (month - date '1970-01-01')::int4 as month,
    hashtextextended(title_code, 0) as title,
    checkouts::int4 as checkouts,
    renewals::int4 as renewals
from {title_months}
where branch_code = any(%(codes)s::text[])
