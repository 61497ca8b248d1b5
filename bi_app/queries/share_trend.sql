-- The share of checks passed, in %%, by day, each dataset with its last verdict of that day.
select day, 100.0 * sum(passed) / nullif(sum(checks), 0)::float as value
from (
    select distinct on (dataset, 1) (judged_at at time zone %(zone)s)::date as day, dataset,
        passed, checks
    from quality.verdicts
    where judged_at > now() - interval '1 year'
        and (%(dataset)s::text is null or dataset = %(dataset)s)
    order by dataset, 1, verdict_id desc
) daily
group by day
order by day
