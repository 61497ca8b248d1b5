-- title: Waiting times of holds
-- description: How long holds waited for their copy, by month: mean days, and the share within so many
-- parameter days: integer = 14: Days that are a short wait
select
    w.month,
    sum(w.holds) as holds,
    round(sum(w.holds * w.wait_days)::numeric / nullif(sum(w.holds), 0), 1) as mean_days,
    round(
        100.0 * coalesce(sum(w.holds) filter (where w.wait_days <= %(days)s::integer), 0)
        / nullif(sum(w.holds), 0), 1
    ) as per_cent_short
from gold.library_hold_waits w
group by w.month
order by w.month desc
