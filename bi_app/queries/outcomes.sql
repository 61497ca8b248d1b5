-- What became of each dataset's newest run, in the words of pages.
select dataset, case outcome when 'warnings' then 'with warnings' else outcome end as outcome,
    verdict_id, published_by, published_because, published_anyway_at
from quality.outcomes
where %(dataset)s::text is null or dataset = %(dataset)s
