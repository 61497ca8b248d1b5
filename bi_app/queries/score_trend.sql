-- The last score of each day of a year.
select distinct on (1) (at at time zone %(zone)s)::date as day, score::float as value
from quality.scores
where level = %(level)s and subject = %(subject)s and at > now() - interval '1 year'
order by 1, score_id desc
