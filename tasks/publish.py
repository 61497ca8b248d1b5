"""Publish: bring gold up to date with the datasets that a run loaded, where verdicts allow it.

A gold table is published when each dataset it reads was loaded and its latest verdict, given after
its latest load, is `passed` or is published anyway by a person; otherwise it stays as it is and
says why. Which tables are behind is read from the database and not from the run, so the run after
a kill publishes what was left.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.types.json import Jsonb

from warehouse import gold
from warehouse.database import connect
from warehouse.spec import Dataset

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """A gold table after publication: `rows` it holds, or why it was held back or left alone."""

    table: str
    state: str  # published, held, current
    rows: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Standing:
    """How a dataset stands: its newest load that changed rows, and what was said of it."""

    loaded: bool
    load_id: int | None
    verdict: str | None
    judged: bool  # the verdict was given on the newest load

    @property
    def fault(self) -> str | None:
        """Why nothing that reads it may be published."""
        if not self.loaded:
            return "has not been loaded"
        if not self.judged:
            return "has not been judged since its last load"
        return None if self.verdict == "passed" else f"has the verdict {self.verdict!r}"


def publish(datasets: Iterable[Dataset], run_id: str | None) -> list[Published]:
    """Publish every gold table that reads one of the datasets, all in one transaction."""
    named = {d.table for d in datasets}
    tables = [t for t in gold.tables().values() if t.sources & named]
    if not tables:
        return []
    with _publication(tables) as connection:
        published = _publish(connection, tables, run_id)
    for p in published:
        log.info("gold.%s %s", p.table, p.reason or p.state, extra={"rows": p.rows})
    return published


@contextmanager
def _publication(tables: list[gold.GoldTable]) -> Iterator[psycopg.Connection[Any]]:
    """A transaction with one snapshot, taken when no other publication is under way.

    The sources are locked before the snapshot is taken: a silver table swapped in after it would
    look empty.
    """
    read = sorted(frozenset[str]().union(*(t.sources for t in tables)))
    locked = sql.SQL(", ").join(sql.Identifier("silver", name) for name in read)
    with connect(autocommit=True) as connection:
        connection.execute("set application_name = 'carrel publish'")
        connection.execute("select pg_advisory_lock(hashtext('carrel publish'))")
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            connection.execute(sql.SQL("lock table {} in access share mode").format(locked))
            yield connection


def _publish(
    connection: psycopg.Connection[Any], tables: list[gold.GoldTable], run_id: str | None
) -> list[Published]:
    standings = _standings(connection, frozenset[str]().union(*(t.sources for t in tables)))
    held = {t.table: _faults(standings, t.sources) for t in tables}
    wanted = {t.table: _recipe(t, standings) for t in tables if not held[t.table]}
    built = _built(connection, list(wanted))
    behind = [t for t, recipe in wanted.items() if built.get(t) != recipe]
    changed = _changed(connection, [(built.get(t), wanted[t]) for t in behind])
    rows = gold.publish(connection, behind, changed=changed, run_id=run_id) if behind else {}
    for table in behind:
        _keep_recipe(connection, table, wanted[table])
    connection.execute(COMPLETE, [[t for t in wanted if t not in rows]])
    return [_said(t, fault, rows) for t, fault in held.items()]


Recipe = tuple[str, dict[str, int]]  # digest of the SELECT, newest load of each source


def _recipe(table: gold.GoldTable, standings: Mapping[str, Standing]) -> Recipe:
    loads = {s: standings[s].load_id or 0 for s in table.sources}
    return hashlib.sha256(table.body.encode()).hexdigest(), loads


def _faults(standings: Mapping[str, Standing], sources: Iterable[str]) -> str:
    faults = {s: standings[s].fault for s in sorted(sources)}
    return "; ".join(f"{name} {fault}" for name, fault in faults.items() if fault)


def _said(table: str, held: str, rows: Mapping[str, int]) -> Published:
    if held:
        return Published(table, "held", reason=held)
    return Published(table, "published" if table in rows else "current", rows.get(table))


STANDINGS = """
select
    named.dataset,
    loads.any_load is not null as loaded,
    loads.changing_load as load_id,
    verdict.outcome as verdict,
    coalesce(verdict.load_id >= loads.any_load, false) as judged
from unnest(%s::text[]) as named (dataset)
left join lateral (
    select
        max(load_id) filter (where state = 'done') as any_load,
        max(load_id) filter (
            where state = 'done' and rows_inserted + rows_updated + coalesce(rows_deleted, 0) > 0
        ) as changing_load
    from ops.loads where dataset = named.dataset
) as loads on true
left join lateral (
    select case when o.verdict_id is null then v.outcome else 'passed' end as outcome, v.load_id
    from quality.verdicts v left join quality.overrides o using (verdict_id)
    where v.dataset = named.dataset order by v.verdict_id desc limit 1
) as verdict on true
"""


def _standings(connection: psycopg.Connection[Any], sources: Iterable[str]) -> dict[str, Standing]:
    rows = connection.execute(STANDINGS, [sorted(sources)]).fetchall()
    return {dataset: Standing(*rest) for dataset, *rest in rows}


def _built(connection: psycopg.Connection[Any], tables: list[str]) -> dict[str, Recipe]:
    """What each gold table was last built from; those never published are left out."""
    rows = connection.execute(
        "select table_name, sql_sha256, loads from ops.publications"
        " where table_name = any(%s) and sql_sha256 is not null",
        [tables],
    )
    return {table: (digest, loads) for table, digest, loads in rows}


def _keep_recipe(connection: psycopg.Connection[Any], table: str, recipe: Recipe) -> None:
    connection.execute(
        "update ops.publications set sql_sha256 = %s, loads = %s where table_name = %s",
        [recipe[0], Jsonb(recipe[1]), table],
    )


COMPLETE = """
update ops.publications p
set complete_to = greatest(complete_to, (
    select min(t.read_at) from (
        select dataset, max(started_at) as read_at from ops.loads
        where dataset = any(p.sources) and state in ('done', 'unchanged') group by dataset
    ) t
))
where table_name = any(%s)
"""

CHANGED = """
select dataset, changed_days from ops.loads
where dataset = %s and load_id > %s and load_id <= %s and state = 'done'
  and rows_inserted + rows_updated + coalesce(rows_deleted, 0) > 0
"""


def _changed(
    connection: psycopg.Connection[Any], steps: list[tuple[Recipe | None, Recipe]]
) -> dict[str, set[dt.date] | None]:
    """The event days that changed in each dataset since the tables were built; None: unknown."""
    changed: dict[str, set[dt.date] | None] = {}
    for before, after in steps:
        same_sql = before is not None and before[0] == after[0]
        for dataset, load_id in after[1].items():
            since = before[1].get(dataset, 0) if before and same_sql else 0
            if not same_sql or since == 0:
                changed[dataset] = None
            elif since != load_id:
                days = _days(connection, dataset, since, load_id)
                changed[dataset] = _union(changed.get(dataset, set()), days)
    return changed


def _days(
    connection: psycopg.Connection[Any], dataset: str, since: int, to: int
) -> set[dt.date] | None:
    rows = connection.execute(CHANGED, [dataset, since, to]).fetchall()
    if any(days is None for _, days in rows):
        return None
    return {day for _, days in rows for day in days}


def _union(a: set[dt.date] | None, b: set[dt.date] | None) -> set[dt.date] | None:
    return None if a is None or b is None else a | b
