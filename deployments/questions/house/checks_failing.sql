-- title: Checks that fail
-- description: Checks of the newest verdict of each dataset that do not hold
select v.dataset, r.name as check_name, r.column_name, r.measured, r.threshold, v.judged_at
from (
    select distinct on (dataset) verdict_id, dataset, judged_at
    from quality.verdicts
    order by dataset, verdict_id desc
) v
join quality.results r on r.verdict_id = v.verdict_id
where r.outcome <> 'passed'
order by v.dataset, r.name
