"""Retention: let go of what a dataset's spec says is too old.

What goes, and what stays:

- **Bronze** older than `bronze`, and contents of a path beyond its newest `versions`. The last
  content that silver was made from stays whatever its age, so that silver can be made anew, unless
  the dataset has private columns: lines hold persons in clear, and for those the days are meant
  (or `personal`, where that is less). Silver keeps its rows; `rebuild` then takes over those whose
  lines are gone as they are. Lines that a killed run landed and nobody has merged stay until they
  are. A replay of held-back records goes with the content in which they first arrived.
- **Kept files** (`files/<sha256>`) and quarantine findings go with the lines that they belong to.
- **Answers** of APIs (`answers/<dataset>`), kept to ask less, go at the age of bronze.
- **Persons** in rows older than `personal`, by the column `personal_by` (default: `event`). A
  pseudonym becomes `NOBODY`, personal columns become null; a row that cannot do without the person
  (its key, or a required personal column) is deleted. Gold that reads the dataset is made anew by
  the next publication. A later file that has the row again brings the person back until the next
  run of retention. Rows of an open matter (`personal_unless`: a loan that is still out) stay.

Rows of `ops` stay; each thing that went is told in `ops.removals`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from tasks.ledger import left_in_bronze, only_run
from warehouse import ddl
from warehouse.database import connect
from warehouse.pseudonyms import NOBODY
from warehouse.settings import settings
from warehouse.spec import Dataset, Open, datasets

SPOOL_SECONDS = 86_400
What = Literal["bronze", "personal", "quarantine", "file"]


@dataclass(frozen=True)
class Due:
    """One thing that is to go, or went: `rows` (of bronze: lines) and `bytes` where known."""

    dataset: str | None
    what: What
    name: str
    reason: str
    rows: int | None = None
    bytes: int | None = None
    load_id: int | None = None


PARTITIONS = """
with parts as (
    select substring(c.relname from '_l([0-9]+)$')::bigint as load_id,
        pg_total_relation_size(c.oid) as bytes
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass(%(parent)s)
), known as (
    select p.load_id, p.bytes, b.lines, b.file_id, f.path, own.sha256,
        (select max(l.landed_at) from ops.loads l where l.file_id = o.file_id) as landed_at,
        (select max(l.load_id) from ops.loads l
         where l.file_id = o.file_id and l.state = 'done') as done,
        exists (select from ops.loads l where l.file_id = b.file_id and l.state = 'done') as merged
    from parts p join ops.loads b using (load_id) join ops.files own using (file_id)
    join ops.loads o on o.load_id = coalesce(b.origin, b.load_id)
    join ops.files f on f.file_id = o.file_id
)
select load_id, bytes, lines, file_id, sha256,
    landed_at < now() - least(%(age)s::interval, %(personal)s::interval) as old,
    merged,
    dense_rank() over (
        partition by case when %(snapshot)s then '' else path end order by done desc nulls last
    ) as position
from known order by load_id
"""
FINDINGS = """
select count(*) from {table} q join ops.loads l using (load_id)
where q.file_id <> all(%(kept)s) and l.done_at < now() - %(age)s::interval
"""
DROP_FINDINGS = """
delete from {table} q using ops.loads l
where l.load_id = q.load_id and q.file_id <> all(%(kept)s)
  and l.done_at < now() - %(age)s::interval
"""
# Files of this dataset whose lines nothing holds any more, of no dataset.
LOOSE = """
select distinct f.sha256 from ops.files f
where f.dataset = %(dataset)s
  and (f.file_id = any(%(going)s) or f.first_seen_at < now() - %(age)s::interval)
  and not exists (
      select from ops.loads l join ops.files g using (file_id)
      where g.sha256 = f.sha256 and l.load_id <> all(%(due)s) and l.landed_at is not null
        and to_regclass(format('bronze.%%I', l.dataset || '_l' || l.load_id)) is not null)
"""
NOTE = """
insert into ops.removals (dataset, what, name, load_id, rows, bytes, reason, run_id)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
STALE = "update ops.publications set sql_sha256 = null where %s = any(sources)"


@dataclass(frozen=True)
class Partition:
    """A load's bronze: its size, its lines, and how its content stands."""

    load_id: int
    bytes: int
    lines: int | None
    file_id: int
    sha256: str
    old: bool
    merged: bool
    position: int


def plan(dataset: Dataset) -> list[Due]:
    """What is due in one dataset now; nothing is changed."""
    with connect() as connection:
        return _plan(connection, dataset)


def retain(dataset: Dataset, run_id: str | None = None) -> list[Due]:
    """Let go of what is due in one dataset, all of it or nothing; return what went.

    Raises:
        Busy: a run of the dataset is under way.
    """
    from tasks.spool import clear

    with only_run(dataset):
        clear(dataset, SPOOL_SECONDS)
        with connect() as connection:
            due = _plan(connection, dataset)
            for one in due:
                _let_go(connection, dataset, one)
            note(connection, due, run_id)
        for one in due:  # after the commit: a file without its note is found again
            if one.what == "file":
                _kept(one.name).unlink(missing_ok=True)
    return due


def strays(days: int = 30) -> list[Due]:
    """Files older than some days that are nobody's.

    Kept ones that no load knows, because they could not be read, and answers to datasets that are
    no more.
    """
    before = time.time() - days * 86_400
    old = {p.name: size for p, size in _older(settings().kept_files.glob("*"), before)}
    with connect() as connection:
        rows = connection.execute(
            "select sha256 from ops.files where sha256 = any(%s)", [list(old)]
        ).fetchall()
    known, members = {row[0] for row in rows}, datasets()
    answers = (settings().home / "answers").glob("*/*")
    left = (p for p in answers if p.parent.name not in members)
    old |= {f"answers/{p.parent.name}/{p.name}": size for p, size in _older(left, before)}
    reason = f"of no load, older than {days} days"
    return [
        Due(None, "file", name, reason, bytes=size)
        for name, size in sorted(old.items())
        if name not in known
    ]


def drop_strays(run_id: str | None = None) -> list[Due]:
    """Let go of `strays`; return what went."""
    due = strays()
    with connect() as connection:
        note(connection, due, run_id)
    for one in due:
        _kept(one.name).unlink(missing_ok=True)
    return due


def _plan(connection: psycopg.Connection[Any], dataset: Dataset) -> list[Due]:
    if not has_tables(connection, dataset):
        return []
    partitions = _partitions(connection, dataset)
    pending = {load for load, *_ in left_in_bronze(dataset)}
    reasons = {p.load_id: _reason(dataset, p, p.load_id in pending) for p in partitions}
    going = [p for p in partitions if reasons[p.load_id]]
    bronze = [
        Due(
            dataset.table,
            "bronze",
            f"{dataset.table}_l{p.load_id}",
            reasons[p.load_id] or "",
            p.lines,
            p.bytes,
            p.load_id,
        )
        for p in going
    ]
    kept = [p.file_id for p in partitions if not reasons[p.load_id]]
    return [
        *bronze,
        *_due_findings(connection, dataset, kept),
        *_due_files(connection, dataset, going),
        *_due_answers(connection, dataset),
        *_due_persons(connection, dataset),
    ]


def has_tables(connection: psycopg.Connection[Any], dataset: Dataset) -> bool:
    """Whether `carrel migrate` has made the dataset's tables."""
    name = f'silver."{dataset.table}"'
    row = connection.execute("select to_regclass(%s) is not null", [name]).fetchone()
    return bool(row and row[0])


def _partitions(connection: psycopg.Connection[Any], dataset: Dataset) -> list[Partition]:
    facts = {
        "parent": f'bronze."{dataset.table}_pages"',
        "age": dataset.retention.bronze,
        "personal": dataset.retention.personal if has_persons(dataset) else None,
        "snapshot": dataset.mode == "snapshot",
    }
    return [Partition(*row) for row in connection.execute(PARTITIONS, facts).fetchall()]


def has_persons(dataset: Dataset) -> bool:
    """Whether the dataset's files hold persons in clear."""
    return any(column.privacy for column in dataset.columns)


def _reason(dataset: Dataset, partition: Partition, pending: bool) -> str | None:
    """Why a partition goes; None where it stays."""
    rule = dataset.retention
    current = partition.merged and partition.position == 1
    if pending or (current and not has_persons(dataset)):
        return None
    if partition.old:
        ages = (rule.bronze, rule.personal if has_persons(dataset) else None)
        return f"landed more than {' or '.join(age for age in ages if age)} ago"
    if rule.versions and partition.merged and partition.position > rule.versions:
        return f"older than the newest {rule.versions} of its path"
    return None


def _due_findings(
    connection: psycopg.Connection[Any], dataset: Dataset, kept: list[int]
) -> list[Due]:
    facts = {"kept": kept, "age": dataset.retention.bronze}
    query = sql.SQL(FINDINGS).format(table=sql.Identifier("quarantine", dataset.table))
    row = connection.execute(query, facts).fetchone()
    reason = f"findings of more than {dataset.retention.bronze} ago, lines gone"
    return (
        [Due(dataset.table, "quarantine", dataset.table, reason, row[0])] if row and row[0] else []
    )


def _due_files(
    connection: psycopg.Connection[Any], dataset: Dataset, going: list[Partition]
) -> list[Due]:
    facts = {
        "dataset": dataset.table,
        "going": [p.file_id for p in going],
        "due": [p.load_id for p in going],
        "age": dataset.retention.bronze,
    }
    found = [row[0] for row in connection.execute(LOOSE, facts).fetchall()]
    return [
        Due(dataset.table, "file", name, "its lines are gone", bytes=_kept(name).stat().st_size)
        for name in sorted(found)
        if _kept(name).is_file()
    ]


def _due_answers(connection: psycopg.Connection[Any], dataset: Dataset) -> list[Due]:
    """Answers that an API gave: they hold what bronze does, and go at its age."""
    ages = [dataset.retention.bronze, dataset.retention.personal if has_persons(dataset) else None]
    query = "select extract(epoch from now() - least(%s::interval, %s::interval))"
    row = connection.execute(query, ages).fetchone()
    assert row
    folder = settings().home / "answers" / dataset.table
    return [
        Due(dataset.table, "file", f"answers/{dataset.table}/{p.name}", "an old answer", bytes=size)
        for p, size in _older(folder.glob("*"), float(row[0]))
    ]


def _older(paths: Iterable[Path], before: float) -> list[tuple[Path, int]]:
    """The files last written before a time (seconds since 1970), and their bytes."""
    found = [(p, p.stat()) for p in sorted(paths) if p.is_file()]
    return [(p, facts.st_size) for p, facts in found if facts.st_mtime < before]


def _kept(name: str) -> Path:
    """Where a file that may go lies: a kept one under its checksum, an answer below the home."""
    return (settings().home if "/" in name else settings().kept_files) / name


def _let_go(connection: psycopg.Connection[Any], dataset: Dataset, due: Due) -> None:
    if due.what == "bronze":
        table = sql.Identifier("bronze", due.name)
        connection.execute(sql.SQL("drop table {}").format(table))
    elif due.what == "quarantine":
        kept = [p.file_id for p in _partitions(connection, dataset)]  # those going are gone
        query = sql.SQL(DROP_FINDINGS).format(table=sql.Identifier("quarantine", dataset.table))
        connection.execute(query, {"kept": kept, "age": dataset.retention.bronze})
    elif due.what == "personal":
        forget(connection, dataset)
        connection.execute(STALE, [dataset.table])


def note(connection: psycopg.Connection[Any], due: Iterable[Due], run_id: str | None) -> None:
    """Tell what went in `ops.removals`."""
    with connection.cursor() as cursor:
        cursor.executemany(
            NOTE,
            [
                (d.dataset, d.what, d.name, d.load_id, d.rows, d.bytes, d.reason, run_id)
                for d in due
            ],
        )


# Persons --------------------------------------------------------------------------------------


def _due_persons(connection: psycopg.Connection[Any], dataset: Dataset) -> list[Due]:
    rule = dataset.retention
    if not rule.personal or _age_column(dataset) is None or not _private(dataset):
        return []
    query = sql.SQL("select count(*) from {} t where {}").format(
        sql.Identifier("silver", dataset.table), _told(dataset, "silver", dataset.table)
    )
    row = connection.execute(query, {"age": rule.personal}).fetchone()
    if not row or not row[0]:
        return []
    what = "deleted" if goes_whole(dataset) else "emptied of their person"
    reason = f"{_age_column(dataset)} more than {rule.personal} ago: {what}"
    return [Due(dataset.table, "personal", f"silver.{dataset.table}", reason, row[0])]


def forget(
    connection: psycopg.Connection[Any], dataset: Dataset, schema: str = "silver", table: str = ""
) -> int:
    """Forget the persons of rows older than the spec's `personal`; return how many rows.

    Does nothing where the spec names no age, or no column that gives it.
    """
    rule = dataset.retention
    if not rule.personal or _age_column(dataset) is None or not _private(dataset):
        return 0
    table = table or dataset.table
    target, told = sql.Identifier(schema, table), _told(dataset, schema, table)
    if goes_whole(dataset):
        query = sql.SQL("delete from {} t where {}").format(target, told)
    else:
        emptied = sql.SQL(", ").join(
            sql.SQL("{0} = case when {0} is null then null else {1} end").format(
                sql.Identifier(name), sql.Literal(NOBODY if kind == "pseudonym" else None)
            )
            for name, kind in _private(dataset).items()
        )
        # The hash is of the person too.
        query = sql.SQL("update {} t set _hash = null, {} where {}").format(target, emptied, told)
    return connection.execute(query, {"age": rule.personal}).rowcount


def unaged(dataset: Dataset) -> bool:
    """Whether `personal` is declared, but no column tells how old a row is."""
    rule = dataset.retention
    return bool(rule.personal and _private(dataset)) and _age_column(dataset) is None


def goes_whole(dataset: Dataset) -> bool:
    """Whether a row cannot do without its person: the key, or a required personal column."""
    key = set(dataset.key_columns)
    return any(
        c.name in key or (c.privacy == "personal" and c.required)
        for c in dataset.columns
        if c.name in _private(dataset)
    )


def _age_column(dataset: Dataset) -> str | None:
    return dataset.retention.personal_by or dataset.event


def _private(dataset: Dataset) -> dict[str, str]:
    """The private columns of silver, and of what kind each is."""
    return {c.name: str(getattr(c, "privacy", None)) for c in dataset.stored if ddl.is_private(c)}


def _told(dataset: Dataset, schema: str, table: str) -> sql.Composable:
    """Rows of a table that are old, belong to nothing open, and still tell of a person."""
    by = _age_column(dataset)
    assert by
    told: list[sql.Composable] = [
        sql.SQL("{} < now() - %(age)s::interval").format(sql.Identifier("t", by))
    ]
    if dataset.retention.personal_unless:
        told.append(_closed(dataset.retention.personal_unless, sql.Identifier(schema, table)))
    if not goes_whole(dataset):
        still = [
            sql.SQL("{} <> {}").format(sql.Identifier(name), sql.Literal(NOBODY))
            if kind == "pseudonym"
            else sql.SQL("{} is not null").format(sql.Identifier(name))
            for name, kind in _private(dataset).items()
        ]
        told.append(sql.SQL("({})").format(sql.SQL(" or ").join(still)))
    return sql.SQL(" and ").join(told)


def _closed(matter: Open, table: sql.Identifier) -> sql.Composable:
    """The row's matter is over; a row where a column of `by` is null belongs to none."""
    ends = [
        sql.SQL("{}::text = any({})").format(sql.Identifier(name), sql.Literal(list(values)))
        for name, values in matter.until.items()
    ]
    shared = [sql.Identifier(name) for name in matter.by]
    same = [sql.SQL("open.{0} = t.{0}").format(name) for name in shared]
    return sql.SQL(
        "not exists (select from (select {by} from {table} group by {by}"
        " having not bool_or(coalesce({ends}, false))) open where {same})"
    ).format(
        by=sql.SQL(", ").join(shared),
        table=table,
        ends=sql.SQL(" or ").join(ends),
        same=sql.SQL(" and ").join(same),
    )
