"""Metrics of a run: numbers of one dataset that can be compared from day to day.

    volume           records in the run's files
    quarantined      share of the records that went to quarantine
    nulls.<column>   share of nulls among the rows that the run brought or changed
    mean.<column>    their mean, of numbers that are no key and not personal
    duration_s       seconds that the loads took
    arrival_h        hour of the day at which the first load ended, in the settings' time zone
    freshness_h      hours from the newest event in silver to the end of the run

A run that brought no file has none of them: its absence is what tells (quality/anomalies.py). One
that sent held-back records again has none of its own either: it mends those of the run with which
the records first came, so that a day's figures are those of all its records.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from quality.sample import NUMBERS
from warehouse.database import connect
from warehouse.ddl import is_private
from warehouse.settings import settings
from warehouse.spec import Dataset

LEAST = 5  # rows below which a mean would be a few persons' own
LOADS = """
select array_agg(load_id), sum(rows_in), sum(rows_quarantined),
    sum(rows_inserted + rows_updated), sum(rows_deleted),
    extract(epoch from sum(done_at - started_at)), min(done_at), max(done_at)
from ops.loads where dataset = %s and run_id = %s and state = 'done'
"""
MENDED = """
select first.run_id, array_agg(again.load_id)
from ops.loads again join ops.loads first on first.load_id = again.origin
where again.dataset = %s and again.run_id = %s and again.state = 'done'
  and first.run_id is not null
group by first.run_id
"""
KEPT = """
select metric, value, size, day, at from quality.metrics where dataset = %s and run_id = %s
"""
STILL_HELD = """
with first as (
    select load_id, rows_in, rows_quarantined from ops.loads
    where dataset = %s and run_id = %s and state = 'done'
), again as (
    select l.rows_in, l.rows_quarantined
    from ops.loads l join first on first.load_id = l.origin where l.state = 'done'
)
select (select sum(rows_quarantined) from first)
        + (select coalesce(sum(rows_quarantined - rows_in), 0) from again),
    (select sum(rows_in) from first)
"""
SAVE = """
insert into quality.metrics (dataset, metric, day, at, run_id, value, size)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (dataset, metric, run_id) do update
set value = excluded.value, size = excluded.size, at = excluded.at, day = excluded.day
"""


class Loads(NamedTuple):
    """The loads of a run that are done, added up; `load_ids` is None where there are none."""

    load_ids: list[int] | None
    rows_in: int
    quarantined: int
    changed: int
    deleted: int
    seconds: float
    first_at: dt.datetime
    last_at: dt.datetime

    @property
    def changes_rows(self) -> bool:
        """Whether silver is not what it was."""
        return bool(self.load_ids) and self.changed + self.deleted > 0


class Metric(NamedTuple):
    """A number of a run; `size` is how many rows a share or a mean rests on."""

    name: str
    value: float
    size: int | None = None


class Of(NamedTuple):
    """What metrics are of: a dataset's run, on a day."""

    dataset: str
    run_id: str
    day: dt.date
    at: dt.datetime


def loads_of(dataset: Dataset, run_id: str) -> Loads:
    """What the ledger says of a run's loads."""
    with connect() as connection:
        row = connection.execute(LOADS, [dataset.table, run_id]).fetchone()
    assert row is not None
    return Loads(*row)


def gather(dataset: Dataset, run_id: str, loads: Loads, newest: dt.datetime | None) -> list[Metric]:
    """Measure a run that brought files, and keep what was measured in quality.metrics.

    Args:
        dataset: what was loaded.
        run_id: the run.
        loads: its loads, at least one.
        newest: the newest event in silver, local time, where there is one.
    """
    zone = ZoneInfo(settings().timezone)
    first, last = (at.astimezone(zone) for at in (loads.first_at, loads.last_at))
    found = [
        Metric("volume", float(loads.rows_in)),
        Metric("duration_s", float(loads.seconds)),
        Metric("arrival_h", first.hour + first.minute / 60 + first.second / 3600),
    ]
    if loads.rows_in:
        found.append(Metric("quarantined", loads.quarantined / loads.rows_in, int(loads.rows_in)))
    if newest is not None:
        found.append(Metric("freshness_h", _hours(newest, last)))
    with connect() as connection:
        if loads.changed:
            found += _of_rows(connection, dataset, loads.load_ids)
        _save(connection, found, Of(dataset.table, run_id, last.date(), last))
    return found


def mended(dataset: Dataset, run_id: str) -> dict[str, list[int]]:
    """The runs with which records first came that this run sent again, and its loads of them."""
    with connect() as connection:
        return dict(connection.execute(MENDED, [dataset.table, run_id]).fetchall())


def mend(dataset: Dataset, first_run: str, load_ids: list[int]) -> tuple[dt.date, list[Metric]]:
    """Put records that were sent again into the metrics of the run with which they first came.

    What is held back is counted anew; nulls and means get the rows of the replay beside those that
    they rest on. To be called once a replay.

    Args:
        dataset: what was loaded.
        first_run: the run with which the records came.
        load_ids: the replay's loads of them.

    Returns:
        The day of the first run, and what was changed; nothing where that run was not measured.
    """
    with connect() as connection:
        kept = {row[0]: row for row in connection.execute(KEPT, [dataset.table, first_run])}
        if not kept:
            return dt.date.min, []
        *_, day, at = next(iter(kept.values()))
        found = [
            _beside(one, kept.get(one.name)) for one in _of_rows(connection, dataset, load_ids)
        ]
        held, rows = connection.execute(STILL_HELD, [dataset.table, first_run]).fetchone() or (0, 0)
        if rows:
            found.append(Metric("quarantined", held / rows, int(rows)))
        _save(connection, found, Of(dataset.table, first_run, day, at))
    return day, found


def _beside(one: Metric, kept: tuple[Any, ...] | None) -> Metric:
    """A share or mean of a replay's rows together with the one of the rows before."""
    if kept is None or not kept[2] or not one.size:
        return one
    rows = kept[2] + one.size
    return Metric(one.name, (kept[1] * kept[2] + one.value * one.size) / rows, rows)


def _save(connection: psycopg.Connection[Any], found: list[Metric], of: Of) -> None:
    rows = [(of.dataset, m.name, of.day, of.at, of.run_id, m.value, m.size) for m in found]
    connection.cursor().executemany(SAVE, rows)


def _hours(newest: dt.datetime | dt.date, now: dt.datetime) -> float:
    if not isinstance(newest, dt.datetime):
        newest = dt.datetime.combine(newest, dt.time())
    return round((now.replace(tzinfo=None) - newest).total_seconds() / 3600, 2)


def _of_rows(
    connection: psycopg.Connection[Any], dataset: Dataset, load_ids: list[int] | None
) -> list[Metric]:
    """Nulls and means of the rows that some loads brought or changed."""
    asked: dict[str, sql.Composable] = {"rows": sql.SQL("count(*)")}
    for column in dataset.stored:
        name = sql.Identifier(column.name)
        if not (column.name in dataset.key_columns or getattr(column, "required", False)):
            asked[f"nulls.{column.name}"] = sql.SQL("count({})").format(name)
        measure = column.type in NUMBERS and column.name not in dataset.key_columns
        if measure and not is_private(column):
            asked[f"mean.{column.name}"] = sql.SQL("avg({})").format(name)
    query = sql.SQL("select {} from {} where _load_id = any(%s)").format(
        sql.SQL(", ").join(asked.values()), sql.Identifier("silver", dataset.table)
    )
    (row,) = connection.execute(query, [load_ids]).fetchall()
    values = dict(zip(asked, row, strict=True))
    rows = values.pop("rows")
    return [m for name, v in values.items() if (m := _of_column(name, v, rows)) is not None]


def _of_column(name: str, value: Any, rows: int) -> Metric | None:
    if name.startswith("nulls."):
        return Metric(name, 1 - value / rows, rows) if rows else None
    if value is None or rows < LEAST or not math.isfinite(value):
        return None
    return Metric(name, float(value), rows)
