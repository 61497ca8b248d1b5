-- title: Quality and alerts
select
    'datasets held back' as figure,
    count(*)::numeric as value,
    null::numeric as earlier,
    count(*) > 0 as look,
    coalesce(string_agg(v.dataset, ', ' order by v.dataset), '') as note
from (
    select distinct on (dataset) verdict_id, dataset, outcome
    from quality.verdicts
    order by dataset, verdict_id desc
) v
where v.outcome <> 'passed'
    and not exists (select from quality.overrides o where o.verdict_id = v.verdict_id)
union all
select
    'alerts open', count(*), null, count(*) > 0,
    coalesce(string_agg(a.title, '; ' order by a.opened_at), '')
from quality.alerts a
where a.state <> 'resolved' and a.snoozed_until > now() is not true
union all
select 'alerts nobody has taken up', count(*), null, false, ''
from quality.alerts a
where a.state = 'open' and a.snoozed_until > now() is not true
