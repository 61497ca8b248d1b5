"""Anomalies: judge what a dataset's runs measured against its own history, and keep what is odd.

Days since the run before are judged, so that days on which nothing came are seen too. Where a
dataset usually has one run a day, a day is what its last run measured (a file loaded again does not
count twice); where it has more, runs are added up, and a day is judged once it is over.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import psycopg

from quality.closures import closures
from quality.joint import Model
from quality.judge import REFIT_DAYS, Finding, History, history_of, judge, learn
from quality.words import sentence
from warehouse.database import connect
from warehouse.spec import Dataset

HISTORY_DAYS = 300
RUNS = """
select percentile_cont(0.5) within group (order by runs) from (
    select count(*) as runs from quality.metrics
    where dataset = %s and metric = 'volume' and day > %s group by day
) days
"""
LAST_OF_DAY = """
select distinct on (metric, day) metric, day, value, size from quality.metrics
where dataset = %(dataset)s and day > %(after)s and day <= %(last)s
order by metric, day, at desc
"""
WHOLE_DAY = """
select metric, day,
    case when metric in ('volume', 'duration_s') then sum(value)
        when metric in ('arrival_h', 'freshness_h') then min(value)
        when sum(size) > 0 then sum(value * size) / sum(size)
        else avg(value) end,
    sum(size)::bigint
from quality.metrics
where dataset = %(dataset)s and day > %(after)s and day <= %(last)s group by metric, day
"""
BEFORE = "select max(day) from quality.metrics where dataset = %s and day < %s"
KEEP_MODEL = """
insert into quality.models (dataset, fitted_on, model) values (%s, %s, %s)
on conflict (dataset) do update set fitted_on = excluded.fitted_on, model = excluded.model
"""
GONE = """
delete from quality.anomalies
where dataset = %s and day between %s and %s and (metric, kind, day) <> all (
    select * from unnest(%s::text[], %s::text[], %s::date[])
)
"""
KEEP = """
insert into quality.anomalies
    (dataset, run_id, severity, message, kind, metric, day, value, low, high, score)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (dataset, metric, kind, day) do update
set run_id = coalesce(excluded.run_id, anomalies.run_id), value = excluded.value,
    low = excluded.low, high = excluded.high, score = excluded.score,
    severity = excluded.severity, message = excluded.message
"""


def detect(
    dataset: Dataset, today: dt.date, run_id: str | None = None, *, over: bool = False
) -> list[str]:
    """Judge the days since the last judged run, keep what was unusual, and say it.

    Args:
        dataset: whose metrics are judged.
        today: the last day; one without a load is judged too, so ask when the day is over.
        run_id: the run that asks; default: none, and what a run found stays that run's.
        over: whether that day is over, so that it is judged where it has several runs, too.

    Returns:
        A sentence a finding.

    Raises:
        ConfigurationError: the setting `closed_days` holds what is no day.
    """
    with connect() as connection:
        history, last = _history(connection, dataset.table, today, over=over)
        if history is None or not history.days:
            return []
        (before,) = connection.execute(BEFORE, [dataset.table, last]).fetchone() or (None,)
        since = sum(day <= before for day in history.days) if before else 0
        model = _model(connection, history, since)
        found = judge(history, since, model=model, joint=model is not None)
        return _keep(connection, history, found, (before, last), run_id)


def _history(
    connection: psycopg.Connection[Any], table: str, today: dt.date, *, over: bool
) -> tuple[History | None, dt.date]:
    """The days up to today, or to yesterday where a day has several runs and is not over."""
    after = today - dt.timedelta(days=HISTORY_DAYS)
    (runs,) = connection.execute(RUNS, [table, after]).fetchone() or (None,)
    many = (runs or 1) > 1.5
    last = today - dt.timedelta(days=1) if many and not over else today
    about = {"dataset": table, "after": after, "last": last}
    rows = connection.execute(WHOLE_DAY if many else LAST_OF_DAY, about).fetchall()
    return history_of(table, rows, last, closures(after, last)), last


def _model(connection: psycopg.Connection[Any], history: History, since: int) -> Model | None:
    """How the metrics go together: the kept model, or one that is fitted now and kept.

    That there is too little history for one is kept, too.
    """
    query = "select fitted_on, model from quality.models where dataset = %s"
    row = connection.execute(query, [history.dataset]).fetchone()
    day = history.days[-1]
    if row and 0 <= (day - row[0]).days < REFIT_DAYS:
        kept = Model(**row[1]) if row[1] else None
        return kept if kept and set(kept.metrics) <= set(history.metrics) else None
    model = learn(history, since)
    told = json.dumps(vars(model) if model else None)
    connection.execute(KEEP_MODEL, [history.dataset, day, told])
    return model


def _keep(
    connection: psycopg.Connection[Any],
    history: History,
    found: list[Finding],
    judged: tuple[dt.date | None, dt.date],
    run_id: str | None,
) -> list[str]:
    """Store what was found of the judged days, in place of what was found of them before."""
    first = judged[0] + dt.timedelta(days=1) if judged[0] else history.days[0]
    told = [sentence(f, judged[1], weekly=history.weekly) for f in found]
    names = ([f.metric for f in found], [f.kind for f in found], [f.day for f in found])
    connection.execute(GONE, [history.dataset, first, judged[1], *names])
    rows = [
        (history.dataset, run_id, f.severity, message, *f[:-1])
        for f, message in zip(found, told, strict=True)
    ]
    connection.cursor().executemany(KEEP, rows)
    return told
