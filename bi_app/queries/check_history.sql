-- A check's measured value in each verdict of the last year.
select v.judged_at as at, r.measured::float as value, r.outcome <> 'passed' as bad, r.threshold
from quality.verdicts v join quality.results r using (verdict_id)
where v.dataset = %(dataset)s and r.name = %(name)s and v.judged_at > now() - interval '1 year'
order by v.verdict_id
