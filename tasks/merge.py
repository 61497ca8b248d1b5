"""Bring a load's staging rows into silver, and its findings into quarantine: one transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from tasks.clean import Cleaned
from tasks.ledger import Load, check_lock, closing, drop_staging
from tasks.settle import names
from tasks.swap import can_swap, swap_in
from warehouse.database import connect
from warehouse.errors import LoadFailed, SourceMalformed
from warehouse.spec import Dataset


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
                note_replay(connection, load)
                quarantine(connection, dataset, load)
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
    place = target or sql.Identifier("silver", dataset.table)
    before = _count(connection, place)
    if dataset.mode == "snapshot" and before and not cleaned.rows and load.again is None:
        raise SourceMalformed(
            load.path,
            f"has no good row, which would empty silver.{dataset.table} of its {before} rows.",
            remedy="Look at its quarantine, or truncate the table by hand if it is meant.",
        )
    if cleaned.fresh:
        _fill(connection, dataset, load, target)
        inserted, updated, deleted = cleaned.rows, 0, 0
    else:
        inserted, updated, deleted = _apply(connection, names(dataset, load.staging, place))
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
        cleaned.changed_days,
    )


def _count(connection: psycopg.Connection[Any], table: sql.Identifier) -> int:
    row = connection.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()
    assert row
    return int(row[0])


def _fill(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    load: Load,
    target: sql.Identifier | None,
) -> None:
    """Fill an empty table: the staging table takes silver's place where nothing hangs on it."""
    if target is None and can_swap(connection, dataset):
        swap_in(connection, dataset, load.staging)
        return
    place = target or sql.Identifier("silver", dataset.table)
    staging = sql.Identifier("staging", load.staging)
    connection.execute(sql.SQL("insert into {} select * from {}").format(place, staging))


DELETE = "delete from {target} t using {changes} s where s._what = 'd' and {same_key}"
UPDATE = "update {target} t set {set} from {changes} s where s._what = 'u' and {same_key}"
INSERT = "insert into {target} ({every}) select {columns} from {changes} s where s._what = 'i'"
FOUND = """
select count(*) filter (where _what = 'd'), count(*) filter (where _what = 'u'),
    count(*) filter (where _what = 'i') from {changes}
"""


def _apply(
    connection: psycopg.Connection[Any], parts: dict[str, sql.Composable]
) -> tuple[int, int, int]:
    """Insert, update and (snapshot) delete what was found changed; return how many of each."""
    deleted, updated, inserted = (
        connection.execute(sql.SQL(statement).format(**parts)).rowcount
        for statement in (DELETE, UPDATE, INSERT)
    )
    found = connection.execute(sql.SQL(FOUND).format(**parts)).fetchone()
    if found != (deleted, updated, inserted):
        raise LoadFailed("silver was changed while the load was cleaned.", remedy="Run it again.")
    return inserted, updated, deleted


FORGET_PATH = """
delete from {table} where load_id in (
    select l.load_id from ops.loads l join ops.loads o on o.load_id = coalesce(l.origin, l.load_id)
    join ops.files f on f.file_id = o.file_id where f.dataset = %(dataset)s and f.path = %(path)s)
"""
# Of a source that tells only what is new: findings of lines that it tells again.
FORGET_REPEATED = """
delete from {table} q using {bronze} was, {findings} n, {bronze} now
where was.load_id = q.load_id and was.line_no = q.line_no
  and now.load_id = %(bronze)s and now.line_no = n.line_no and was.line = now.line
"""
FORGET_SENT = """
delete from {table} q using ops.replays r
where r.load_id = %(load)s and q.load_id = r.from_load and q.line_no = r.from_line
"""
NOTE = """
insert into ops.replays
select %(load)s, s.line, %(source)s, s.was, coalesce(p.first_load, %(source)s),
    coalesce(p.first_line, s.was), s.edited, s.replaces
from unnest(%(starts)s::bigint[], %(lines)s::bigint[], %(edited)s::bool[], %(replaces)s::bool[])
    as s (line, was, edited, replaces)
left join ops.replays p on p.load_id = %(source)s and p.line_no = s.was
"""


def note_replay(connection: psycopg.Connection[Any], load: Load) -> None:
    """Note of each record that is sent again where it comes from."""
    again = load.again
    if again is None:
        return
    facts = {
        "load": load.load_id,
        "source": again.source,
        "starts": again.starts[:-1].tolist(),
        "lines": again.lines.tolist(),
        "edited": again.edited.tolist(),
        "replaces": again.replaces.tolist(),
    }
    try:
        connection.execute(NOTE, facts)
    except errors.UniqueViolation as error:
        raise LoadFailed(f"{load.path}: some of its records were sent again before.") from error


def quarantine(connection: psycopg.Connection[Any], dataset: Dataset, load: Load) -> None:
    """Put the load's findings in place of those of the path's earlier loads.

    Those are gone of the records too that were sent again after such a load. A replay takes the
    place of the records that it sends. A source that is read from a cursor on tells only what is
    new: findings of what it told before stay.
    """
    names = {
        "table": sql.Identifier("quarantine", load.dataset),
        "bronze": sql.Identifier("bronze", load.dataset),
        "findings": sql.Identifier("staging", f"{load.staging}_q"),
    }
    facts = {"dataset": load.dataset, "path": str(load.path), "load": load.load_id}
    facts["bronze"] = load.bronze
    if load.again:
        forget = FORGET_SENT
    else:
        forget = FORGET_REPEATED if getattr(dataset.source, "cursor", None) else FORGET_PATH
    connection.execute(sql.SQL(forget).format(**names), facts)
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
