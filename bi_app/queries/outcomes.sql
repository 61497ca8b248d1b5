-- What became of each dataset's newest run, in the words of pages.
select dataset, case outcome when 'warnings' then 'with warnings' else outcome end as outcome
from quality.outcomes
where %(dataset)s::text is null or dataset = %(dataset)s
