"""Stages: what is raw, staged and processed, load by load."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

from tasks.retention import has_tables
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.spec import Dataset


@dataclass(frozen=True)
class Stage:
    """Where the rows of one load stand in one layer.

    `rows` are lines in bronze, good rows in staging, and in silver those that the load was the last
    to change. `schema` lists the table's columns and types; `since` is when the load landed
    (bronze), began (staging) or was done (silver).
    """

    layer: Literal["bronze", "staging", "silver"]
    table: str
    load_id: int | None
    source: str | None
    sha256: str | None
    run_id: str | None
    state: str | None
    rows: int
    bytes: int | None
    since: dt.datetime | None
    schema: str

    @property
    def age(self) -> dt.timedelta | None:
        """How long ago that was."""
        return dt.datetime.now(dt.UTC) - self.since if self.since else None


TABLES = """
select 'bronze', c.oid::regclass::text, substring(c.relname from '_l([0-9]+)$')::bigint,
    pg_total_relation_size(c.oid)
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = to_regclass(%(bronze)s)
union all
select 'staging', c.oid::regclass::text, substring(c.relname from '_([0-9]+)$')::bigint,
    pg_total_relation_size(c.oid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'staging' and c.relkind = 'r' and c.relname ~ %(staging)s
order by 1, 3
"""
LOADS = """
select l.load_id, f.path, f.sha256, l.run_id, l.state, l.lines, l.started_at, l.landed_at, l.done_at
from ops.loads l left join ops.files f using (file_id) where l.load_id = any(%s)
"""
SCHEMA = """
select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped
"""


def stages(dataset: Dataset) -> list[Stage]:
    """Each load's lines in bronze, rows in staging and rows in silver, in order.

    Raises:
        ConfigurationError: the dataset has no tables yet.
    """
    silver = f'silver."{dataset.table}"'
    with connect() as connection:
        if not has_tables(connection, dataset):
            raise ConfigurationError(
                f"{dataset.table} has no tables yet.", remedy="Run `carrel migrate`."
            )
        facts = {
            "bronze": f'bronze."{dataset.table}_pages"',
            "staging": f"^{dataset.table}_[0-9]+$",
        }
        found = connection.execute(TABLES, facts).fetchall()
        count = sql.SQL("select _load_id, count(*) from {} group by 1 order by 1").format(
            sql.Identifier("silver", dataset.table)
        )
        last = connection.execute(count).fetchall()
        loads = _loads(connection, [*(row[2] for row in found), *(row[0] for row in last)])
        return [
            *(_table(connection, loads, *row) for row in found),
            *(_silver(connection, loads, silver, *row) for row in last),
        ]


def _loads(connection: psycopg.Connection[Any], ids: list[int]) -> dict[int, dict[str, Any]]:
    names = ("load_id", "path", "sha256", "run_id", "state", "lines", "began", "landed", "done")
    rows = connection.execute(LOADS, [ids]).fetchall()
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


def _table(
    connection: psycopg.Connection[Any],
    loads: dict[int, dict[str, Any]],
    *facts: Any,
) -> Stage:
    """A load's table in bronze or staging."""
    layer, table, load_id, size = facts
    load = loads.get(load_id, {})
    rows = load.get("lines")
    if layer == "staging" or rows is None:
        # regclass text is quoted by PostgreSQL itself
        row = connection.execute(f"select count(*) from {table}".encode()).fetchone()  # noqa: S608
        rows = row[0] if row else 0
    since = load.get("landed" if layer == "bronze" else "began")
    return Stage(
        layer, table, load_id, *_origin(load), rows, size, since, _schema(connection, table)
    )


def _silver(
    connection: psycopg.Connection[Any],
    loads: dict[int, dict[str, Any]],
    *facts: Any,
) -> Stage:
    """The rows of silver that a load was the last to change."""
    table, load_id, rows = facts
    load = loads.get(load_id, {})
    schema = _schema(connection, table)
    return Stage("silver", table, load_id, *_origin(load), rows, None, load.get("done"), schema)


def _origin(load: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return load.get("path"), load.get("sha256"), load.get("run_id"), load.get("state")


def _schema(connection: psycopg.Connection[Any], table: str) -> str:
    row = connection.execute(SCHEMA, [table]).fetchone()
    return str(row[0]) if row else ""
