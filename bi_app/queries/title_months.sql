-- Monthly loans of each title; a month is the months since 1970, a title its number.
select
    (array_position(%(codes)s::text[], branch_code) - 1)::int2 as branch,
    ((extract(year from month) - 1970) * 12 + extract(month from month) - 1)::int2 as month,
    hashtextextended(title_code, 0) as title,
    checkouts::int4 as checkouts,
    renewals::int4 as renewals
from {title_months}
where branch_code = any(%(codes)s::text[])
