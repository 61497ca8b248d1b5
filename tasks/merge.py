"""Bring a load's staging rows into silver, and its findings into quarantine: one transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from tasks.clean import Cleaned
from tasks.ledger import Load, check_lock, closing, drop_staging
from tasks.swap import can_swap, swap_in
from warehouse.database import connect
from warehouse.errors import LoadFailed, SourceMalformed
from warehouse.spec import Dataset

MOST_DAYS = 62
MEMORY = "set local work_mem = '256MB'; set local maintenance_work_mem = '256MB'"


@dataclass(frozen=True)
class Loaded:
    """Where each record of a load went; `changed_days` is None when gold must be made anew."""

    load_id: int
    rows_in: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    quarantined: int
    ignored: int
    rows_before: int
    rows_after: int
    changed_days: list[dt.date] | None

    @classmethod
    def unchanged_file(cls, load: Load) -> Loaded:
        """What a load of a known file did: nothing."""
        return cls(load.load_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, [])


COUNTS = ("inserted", "updated", "deleted", "unchanged", "quarantined", "ignored")


def merge(dataset: Dataset, load: Load, cleaned: Cleaned) -> Loaded:
    """Merge a landed and cleaned load: all of it, or nothing.

    Rows equal to those in silver are not touched. A snapshot deletes what the file lacks.

    Raises:
        SourceMalformed: a snapshot without a good row would empty a table that has rows.
        LoadFailed: the load is not landed, or its counts do not add up.
    """
    with closing(load):
        try:
            with connect() as connection:
                check_lock(connection, dataset)
                loaded = merge_into(connection, dataset, load, cleaned)
                quarantine(connection, load)
                _close(connection, loaded)
                drop_staging(connection, load.staging)
        except errors.CheckViolation as error:
            # The primary message alone: DETAIL holds the row.
            refused = f"{dataset.table}: refused: {error.diag.message_primary}."
            raise LoadFailed(refused) from error
    return loaded


def merge_into(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    load: Load,
    cleaned: Cleaned,
    target: sql.Identifier | None = None,
) -> Loaded:
    """Merge staging into silver, or into a table of the same columns in its stead."""
    connection.execute(MEMORY)
    silver = sql.Identifier("silver", dataset.table)
    before = _count(connection, target or silver)
    if not before:
        inserted, updated, deleted = cleaned.rows, 0, 0
        days = _days(connection, dataset, sql.Identifier("staging", load.staging))
        if target or not can_swap(connection, dataset):
            _copy(connection, load, target or silver)
        else:
            swap_in(connection, dataset, load.staging)
    elif dataset.mode == "snapshot" and not cleaned.rows:
        raise SourceMalformed(
            load.path,
            f"has no good row, which would empty silver.{dataset.table} of its {before} rows.",
            remedy="Look at its quarantine, or truncate the table by hand if it is meant.",
        )
    else:
        names = _names(dataset, load, target or silver)
        inserted, updated, deleted = _changes(connection, dataset, names)
        days = _days(connection, dataset, sql.Identifier("changes"))
    return Loaded(
        load.load_id,
        cleaned.records,
        inserted,
        updated,
        deleted,
        cleaned.rows - inserted - updated,
        cleaned.quarantined,
        cleaned.ignored,
        before,
        before + inserted - deleted,
        days,
    )


def _count(connection: psycopg.Connection[Any], table: sql.Identifier) -> int:
    row = connection.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()
    assert row
    return int(row[0])


def _copy(connection: psycopg.Connection[Any], load: Load, target: sql.Identifier) -> None:
    """Fill an empty table that the staging table cannot replace."""
    staging = sql.Identifier("staging", load.staging)
    connection.execute(sql.SQL("insert into {} select * from {}").format(target, staging))


def _changes(
    connection: psycopg.Connection[Any], dataset: Dataset, names: dict[str, sql.Composable]
) -> tuple[int, int, int]:
    """Insert, update and (snapshot) delete; return how many of each."""
    connection.execute(sql.SQL(FIND).format(**names))
    if dataset.mode == "snapshot":
        connection.execute(sql.SQL(FIND_GONE).format(**names))
    deleted, updated, inserted = (
        connection.execute(sql.SQL(statement).format(**names)).rowcount
        for statement in (DELETE, UPDATE, INSERT)
    )
    return inserted, updated, deleted


def _names(dataset: Dataset, load: Load, target: sql.Identifier) -> dict[str, sql.Composable]:
    """The parts of the statements below."""
    key = dataset.key_columns
    plain = [c.name for c in dataset.stored if c.name not in key]
    every = [
        *(["content_key"] if dataset.key == "content" else []),
        *(c.name for c in dataset.stored),
    ]
    event = [dataset.event] if dataset.event else []

    def listed(table: str, names: list[str]) -> sql.Composable:
        return sql.SQL(", ").join(sql.Identifier(table, n) for n in names)

    return {
        "target": target,
        "staging": sql.Identifier("staging", load.staging),
        "join": sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier("t", k), sql.Identifier("s", k)) for k in key
        ),
        "differs": sql.SQL(" or ").join(
            sql.SQL("{} is distinct from {}").format(sql.Identifier("t", c), sql.Identifier("s", c))
            for c in plain
        )
        if plain and dataset.key != "content"
        else sql.SQL("false"),
        "set": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(c), sql.Identifier("s", c))
            for c in [*plain, "_load_id"]
        ),
        "every": sql.SQL(", ").join(sql.Identifier(c) for c in [*every, "_load_id"]),
        "columns": listed("s", [*every, "_load_id"]),
        "old": sql.SQL("t.{}").format(sql.Identifier(event[0])) if event else sql.SQL("null"),
        "gone": sql.SQL(", ").join(
            sql.SQL("{}").format(sql.Identifier("t", c)) for c in [*every, "_load_id"]
        ),
    }


FIND = """
create temp table changes on commit drop as
select {columns}, case when t._load_id is null then 'i' else 'u' end as what, {old} as was
from {staging} s left join {target} t on {join}
where t._load_id is null or {differs}
"""
FIND_GONE = """
insert into changes
select {gone}, 'd', {old} from {target} t
where not exists (select from {staging} s where {join})
"""
DELETE = "delete from {target} t using changes s where s.what = 'd' and {join}"
UPDATE = "update {target} t set {set} from changes s where s.what = 'u' and {join}"
INSERT = "insert into {target} ({every}) select {columns} from changes s where s.what = 'i'"


def _days(
    connection: psycopg.Connection[Any], dataset: Dataset, table: sql.Identifier
) -> list[dt.date] | None:
    """The event days of changed rows, as they were and as they are; None when too many."""
    if dataset.event is None:
        return None
    event = sql.Identifier(dataset.event)
    was = sql.SQL(", was") if table.as_string(None) == '"changes"' else sql.SQL("")
    query = sql.SQL(
        "select distinct d::date from {table}, lateral (select unnest(array[{event}{was}]) as d)"
        " where d is not null limit {most}"
    ).format(table=table, event=event, was=was, most=sql.Literal(MOST_DAYS + 1))
    days = [row[0] for row in connection.execute(query)]
    return sorted(days) if len(days) <= MOST_DAYS else None


def quarantine(connection: psycopg.Connection[Any], load: Load) -> None:
    """Put the load's findings in place of those of the path's earlier loads."""
    names = {
        "table": sql.Identifier("quarantine", load.dataset),
        "findings": sql.Identifier("staging", f"{load.staging}_q"),
    }
    connection.execute(
        sql.SQL(
            "delete from {table} where file_id in"
            " (select file_id from ops.files where dataset = %s and path = %s)"
        ).format(**names),
        [load.dataset, str(load.path)],
    )
    connection.execute(
        sql.SQL("insert into {table} select * from {findings} order by record_no").format(**names)
    )


def _close(connection: psycopg.Connection[Any], loaded: Loaded) -> None:
    """Write the counts; the ledger refuses them unless they add up."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(
            sql.Identifier(f"rows_{k}" if k in COUNTS else k), sql.Placeholder(k)
        )
        for k in vars(loaded)
        if k != "load_id"
    )
    done = connection.execute(
        sql.SQL(
            "update ops.loads set {}, state = 'done', done_at = clock_timestamp()"
            " where load_id = %(load_id)s and state = 'landed'"
        ).format(assignments),
        vars(loaded),
    ).rowcount
    if done != 1:
        raise LoadFailed(f"load {loaded.load_id} is not landed.", remedy="Run the dataset again.")
