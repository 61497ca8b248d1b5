-- Figures of some days, and what there is to choose from.
select count(*)::integer as entries,
    count(distinct who) filter (where act = 'view')::integer as people,
    count(*) filter (where act = 'view')::integer as views,
    count(*) filter (where act = 'export' and outcome = 'done')::integer as exports,
    count(*) filter (where outcome = 'refused')::integer as refused,
    count(*) filter (where outcome = 'failed')::integer as failed,
    coalesce(array_agg(distinct act), '{{}}') as acts,
    coalesce(array_agg(distinct door), '{{}}') as doors,
    coalesce((array_agg(distinct who))[:500], '{{}}') as whos
from audit.entries
where at > now() - make_interval(days => %(days)s)
