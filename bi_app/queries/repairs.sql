-- What the viewer asked for last about a dataset's records or figures, and how far it has come.
select r.request_id, r.action, r.state, r.message, r.asked_at, r.run_id is not null as begun,
    r.asked_at < now() - interval '1 hour' as late, s.steps, s.failure,
    v.outcome as contract, v.checks, v.passed, v.overtaken, g.gold
from app.requests r
left join lateral (
    select array_agg(distinct step) filter (where state = 'done') as steps,
        max(message) filter (where state = 'failed') as failure
    from ops.steps where run_id = r.run_id
) s on true
left join lateral (
    select outcome, checks, passed, exists (select from quality.verdicts n
        where n.dataset = r.subject and n.verdict_id > w.verdict_id) as overtaken
    from quality.verdicts w
    where run_id = r.run_id and dataset = r.subject order by verdict_id desc limit 1
) v on true
left join lateral (
    select array_agg(table_name order by table_name) as gold from ops.publications
    where r.subject = any(sources) and published_at > r.asked_at
) g on true
where r.subject = %(dataset)s and r.asked_by = (select app.viewer_user())
    and r.action in ('open', 'replay', 'publish') and r.asked_at > now() - interval '1 day'
order by r.request_id desc
limit 1
