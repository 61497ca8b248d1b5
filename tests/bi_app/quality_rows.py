"""A seeded history of loads, steps, verdicts and checks, so that pages can be tested at size."""

from __future__ import annotations

from typing import Any

import psycopg

CATALOGUE = """
insert into ops.catalogue
    (table_name, layer, domain, name, title, grain, key_columns, access, columns)
select format('silver.made_%%s', n), 'silver', 'made', format('made_%%s', n),
    format('Made set %%s', n), 'one row a thing', array['id'], '{"staff": true}',
    '[{"name": "id", "type": "text", "meaning": "Number", "privacy": null}]'
from generate_series(1, %(made)s) as n
"""
LOADS = """
insert into ops.loads (dataset, state, run_id, started_at, done_at, rows_in, rows_inserted,
    rows_updated, rows_unchanged, rows_quarantined, rows_ignored, rows_after)
select d.name, 'done', format('%%s-%%s', d.name, day), at, at + interval '4 s', n + 12, n - 40, 40,
    0, 12, 0, n * (%(days)s - day)
from (select name, row_number() over (order by name) as k from ops.catalogue
      where layer = 'silver') d
cross join generate_series(0, %(days)s - 1) as day
cross join lateral (select
    now() - day * interval '1 day' - interval '3 hours' + k * interval '1 s' as at,
    (4000 + 900 * sin(day / 7.0) + (hashtext(d.name || day) %% 300))::bigint as n) x
order by day desc, k
"""
STEPS = """
insert into ops.steps (run_id, dataset, step, state, started_at, ended_at, rows, message, category)
select l.run_id, l.dataset, s.step,
    case when s.step = 'merge' and bad then 'failed' else 'done' end,
    l.started_at + s.after, l.started_at + s.after + s.took * (1 + 0.3 * sin(l.load_id)), l.rows_in,
    case when s.step = 'merge' and bad then 'LoadFailed: the disk is full' end,
    case when s.step = 'merge' and bad then 'load' end
from (select *, hashtext(run_id) %% 97 = 0 as bad from ops.loads) l cross join (values
    ('extract', interval '0 s', interval '0.2 s'), ('land', interval '0.2 s', interval '1.2 s'),
    ('clean', interval '0.2 s', interval '2.4 s'), ('merge', interval '2.6 s', interval '1.1 s'),
    ('verify', interval '3.7 s', interval '0.6 s')) as s (step, after, took)
order by l.load_id, s.after
"""
VERDICTS = """
insert into quality.verdicts (dataset, load_id, run_id, outcome, checks, passed, judged_at)
select l.dataset, l.load_id, l.run_id,
    case when k %% 17 = 5 and day < 9 then %(fault)s else 'passed' end, %(checks)s,
    %(checks)s - (case when k %% 17 = 5 and day < 9 then 2 else 0 end)
        - (case when k %% 11 = 3 and day < 30 then 1 else 0 end), l.done_at
from (select *, dense_rank() over (order by dataset) as k,
        row_number() over (partition by dataset order by load_id desc) - 1 as day
      from ops.loads) l
order by l.load_id
"""
RESULTS = """
insert into quality.results
    (verdict_id, name, check_type, column_name, outcome, measured, threshold)
select v.verdict_id, format('check %%s holds', c),
    (array['missing', 'invalid', 'metric'])[1 + c %% 3],
    case when c %% 3 < 2 then format('column_%%s', c) end,
    case when (v.outcome <> 'passed' and c <= 2)
        or (v.passed < v.checks - (case v.outcome when 'passed' then 0 else 2 end) and c = 3)
        then 'failed' else 'passed' end,
    case when v.outcome <> 'passed' and c <= 2 then 14 + c else 2 + sin(v.verdict_id / 9.0 + c) end,
    'must_be_less_than_or_equal: 10'
from quality.verdicts v cross join generate_series(1, %(checks)s) as c
"""
SEVERITIES = """
update quality.results set severity = 'warning', part = 'completeness' where name = 'check 3 holds'
"""
WARNINGS = """
update quality.verdicts set warnings = 1 where outcome = 'passed' and passed < checks
"""
SCORES = """
insert into quality.scores (at, run_id, verdict_id, level, subject, score, weight, formula, parts)
select judged_at, run_id, verdict_id, 'dataset', dataset,
    round((100.0 * passed / checks
        - 2 * (1 + sin(extract(epoch from judged_at) / 2e6 + length(dataset))))::numeric, 2), 1,
    'Mean of the parts, each with its weight; a part is the share of its checks that hold',
    jsonb_build_array(
        jsonb_build_object('part', 'completeness', 'weight', 3, 'score', 100, 'checks', 6),
        jsonb_build_object('part', 'validity', 'weight', 3, 'score', 90, 'checks', 6,
            'lost', case when passed < checks then '["check 3 holds"]'::jsonb else '[]' end))
from quality.verdicts order by verdict_id;
insert into quality.scores (at, run_id, level, subject, score, weight, formula, parts)
select max(at), 'w' || at::date, 'whole', 'all', round(avg(score), 2), 1,
    'Mean of the datasets, each with its weight',
    jsonb_agg(jsonb_build_object('dataset', subject, 'weight', 1, 'score', score))
from quality.scores where level = 'dataset' group by at::date order by at::date
"""
METRICS = """
insert into quality.metrics (dataset, metric, day, at, run_id, value, size)
select dataset, 'volume', started_at::date, started_at, run_id, rows_in, rows_in
from ops.loads order by load_id
"""
ANOMALIES = """
insert into quality.anomalies
    (dataset, metric, kind, day, run_id, value, low, high, score, severity, message)
select dataset, 'volume', 'jump', day, run_id, 212, 3900, 4600, 9,
    case when hashtext(dataset) % 2 = 0 then 'critical' else 'warning' end,
    'Loads usually bring 3,900 to 4,600 rows; today 212.'
from (select *, row_number() over (partition by dataset order by day desc) as n
      from quality.metrics) m
where hashtext(dataset) % 3 = 0 and n = 4;
update quality.metrics m set value = a.value from quality.anomalies a
where (m.dataset, m.metric, m.run_id) = (a.dataset, a.metric, a.run_id)
"""
ALERTS = """
insert into quality.alerts (cause, kind, dataset, title, severity, opened_at, changed_by)
select 'data:' || dataset, 'contract', dataset, 'The contract of ' || dataset || ' does not hold',
    case when hashtext(dataset) % 2 = 0 then 'critical' else 'warning' end,
    now() - (hashtext(dataset) % 9 + 9) * interval '7 hours', 'carrel'
from (select distinct on (dataset) dataset, outcome from quality.verdicts
      order by dataset, verdict_id desc) v where outcome <> 'passed';
insert into quality.alert_parts (alert_id, what, name, severity, detail, dataset)
select alert_id, p.what, p.name, 'critical', p.detail, dataset
from quality.alerts cross join (values
    ('check', 'check 1 holds', 'measured 15, at most 10'),
    ('check', 'check 2 holds', 'measured 16, at most 10'),
    ('gold', 'gold.library_circulation', null)) as p (what, name, detail)
"""


def fill_history(
    connection: psycopg.Connection[Any],
    *,
    made: int = 0,
    days: int = 20,
    checks: int = 15,
    fault: str = "failed",
) -> None:
    """Loads, steps, verdicts and results of every dataset, one run a day up to today.

    One dataset in 17 is held back by a verdict of outcome `fault`, for nine days.
    """
    asked = {"made": made, "days": days, "checks": checks, "fault": fault}
    for statement in (CATALOGUE, LOADS, STEPS, VERDICTS, RESULTS):
        connection.execute(statement.encode(), asked)
    for statement in (SEVERITIES, WARNINGS, SCORES, METRICS, ANOMALIES, ALERTS):
        connection.execute(statement.encode())


def hold_back(connection: psycopg.Connection[Any], dataset: str, count: int = 24) -> None:
    """Findings in quarantine at the newest load: open and private columns, and a slipped record."""
    row = connection.execute(
        "insert into ops.files (dataset, path, sha256, bytes, encoding, delimiter)"
        " values (%s, '/landing/a.csv', 'x', 1, 'utf-8', ',') returning file_id", [dataset]
    ).fetchone()  # fmt: skip
    connection.execute(
        f'insert into quarantine."{dataset}" (load_id, file_id, record_no, line_no, rule,'
        " column_name, value) select (select max(load_id) from ops.loads where dataset = %s), %s,"
        " n, n + 1, r.rule, r.col, r.value || n from generate_series(1, %s) as n"
        " cross join (values ('required', 'kind', 'lent'), ('required', 'member_key', 'person')) as"
        " r (rule, col, value)".encode(),
        [dataset, row[0] if row else None, count],
    )
    connection.execute(
        f'insert into quarantine."{dataset}" (load_id, file_id, record_no, line_no, rule,'
        " column_name, value) select (select max(load_id) from ops.loads where dataset = %s), 1,"
        " 999, 1000, r.rule, r.col, r.value from (values ('ragged', null, 'too many fields'),"
        " ('allowed', 'kind', 'slipped@person.example')) as r (rule, col, value)".encode(),
        [dataset],
    )
    connection.execute(
        f'insert into quarantine."{dataset}" (load_id, file_id, record_no, line_no, rule,'
        " column_name, value) select max(load_id), 1, 998, 999, 'ragged', 'kind',"
        " 'slipped;whole;record' from ops.loads where dataset = %s".encode(),
        [dataset],
    )
