-- title: Loads lately
-- description: Each load of so many days: dataset, outcome, rows, what was held back in quarantine
-- parameter days: integer = 2: Days back from now
select
    l.started_at,
    l.dataset,
    l.state,
    l.rows_in,
    l.rows_inserted,
    l.rows_updated,
    l.rows_quarantined,
    round(extract(epoch from l.done_at - l.started_at), 1) as seconds
from ops.loads l
where l.started_at > now() - make_interval(days => %(days)s::integer)
order by l.load_id desc
