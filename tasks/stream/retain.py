"""Retention of a stream: what is past its days goes, and the sums stay as they are.

- **Bronze** loses the days of arrival that are older than `bronze`. Their sums are kept apart
  first (`kept`), so that silver can be made anew from those and the events that are left. Ids that
  could still come again are kept in `ops.stream_ids`, so that no duplicate counts.
- The days of each month that is over are put together into one partition (`months`).
- **Quarantine** loses what is older than `quarantine`: messages say of people what they like.
- **The folder log** loses segments that every event of was read, older than `log`. How long a
  broker keeps a topic is the broker's to say.
- **People** are forgotten by `personal`: see `forget`.

What went is told in `ops.removals`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tasks.retention import Due, note
from tasks.stream import segments
from tasks.stream.bronze import counting, pieces
from tasks.stream.fold import Fold, add
from tasks.stream.forget import before, forget_events, forget_rows, forget_sums
from tasks.stream.kept import OLD_IDS, alone, kept_tables
from warehouse.database import connect
from warehouse.settings import settings
from warehouse.streams import Stream

log = logging.getLogger(__name__)
SETTLED_DAYS = 7  # after which no batch can still write into a month


@dataclass(frozen=True)
class Part:
    """A partition of bronze: the days of arrival from `since` to before `upto`."""

    name: str
    since: dt.date
    upto: dt.date
    bytes: int


def plan(stream: Stream) -> list[Due]:
    """What is due now; nothing is changed."""
    with connect() as connection:
        limit = _limit(connection, stream)
        return [
            *_due_days(connection, stream, limit),
            *_due_messages(connection, stream),
            *_due_segments(connection, stream),
        ]


def retain(stream: Stream, run_id: str | None = None) -> list[Due]:
    """Let go of what is due, and put past months together; what went.

    Each part is done whole or not at all.

    Raises:
        Busy: a rebuild or a restatement is under way.
        LoadFailed: the database refused.
    """
    return [
        *_let_days_go(stream, run_id),
        *_forget(stream, run_id),
        *_let_messages_go(stream, run_id),
        *_let_segments_go(stream, run_id),
        *(_together(stream) if stream.retention.months else ()),
    ]


# Bronze --------------------------------------------------------------------------------------


def _limit(connection: psycopg.Connection[Any], stream: Stream) -> dt.date | None:
    """The first day of arrival that stays; None: all do."""
    if stream.retention.bronze is None:
        return None
    row = connection.execute(
        "select (now() - %s::interval)::date", [stream.retention.bronze]
    ).fetchone()
    assert row
    found: dt.date = row[0]
    return found


def parts(connection: psycopg.Connection[Any], stream: Stream) -> list[Part]:
    """The partitions of bronze, the oldest first."""
    rows = connection.execute(PARTS, {"parent": f'bronze."{stream.table}"'})
    return [Part(*row) for row in rows]


def _due_days(
    connection: psycopg.Connection[Any], stream: Stream, limit: dt.date | None
) -> list[Due]:
    found = [] if limit is None else [p for p in parts(connection, stream) if p.since < limit]
    if not found:
        return []
    sizes = {p.since: p.bytes for p in found if limit and p.upto <= limit}
    query = sql.SQL(
        "select arrived_on, count(*), count(*) filter (where late) from {}"
        " where arrived_on < %s group by 1 order by 1"
    ).format(sql.Identifier("bronze", stream.table))
    reason = f"arrived more than {stream.retention.bronze} ago; the sums are kept"
    return [
        Due(stream.table, "bronze", f"bronze.{stream.table} of {day}", reason, rows,
            sizes.get(day))
        for day, rows, _ in connection.execute(query, [limit]).fetchall()
    ]  # fmt: skip


def _let_days_go(stream: Stream, run_id: str | None) -> list[Due]:
    with connect() as connection:
        alone(connection, stream)
        limit = _limit(connection, stream)
        due = _due_days(connection, stream, limit)
        if not due or limit is None:
            return []
        known = {"stream": stream.table, "limit": limit, "within": stream.duplicates_within}
        _keep_sums(connection, stream, limit)
        for statement in (REMOVED, IDS):
            query = sql.SQL(statement).format(
                table=sql.Identifier("bronze", stream.table), id=sql.Identifier(stream.id)
            )
            connection.execute(query, known)
        connection.execute(OLD_IDS, known)
        for part in parts(connection, stream):
            _drop(connection, part, limit)
        note(connection, due, run_id)
        return due


def _keep_sums(connection: psycopg.Connection[Any], stream: Stream, limit: dt.date) -> None:
    """Add the days' sums to those that are kept. The days change no more: nothing is locked."""
    going = sql.SQL("arrived_on < {} and {}").format(sql.Literal(limit), counting(stream))
    fold, kept = Fold(stream), kept_tables(connection, stream)
    with connect() as beside, pieces(beside, stream, going) as found:
        for piece in found:
            add(connection, stream, fold(piece), kept)


def _drop(connection: psycopg.Connection[Any], part: Part, limit: dt.date) -> None:
    table = sql.Identifier("bronze", part.name)
    if part.upto <= limit:
        connection.execute(sql.SQL("drop table {}").format(table))
    elif part.since < limit:
        connection.execute(sql.SQL("delete from {} where arrived_on < %s").format(table), [limit])


# Months --------------------------------------------------------------------------------------


def _together(stream: Stream) -> Iterator[Due]:
    """Put the days of each month that is over into one partition; each month on its own."""
    with connect() as connection:
        found = parts(connection, stream)
        row = connection.execute("select now()::date").fetchone()
    assert row
    for month, days in _months(found).items():
        following = (month + dt.timedelta(days=32)).replace(day=1)
        if len(days) > 1 and following + dt.timedelta(days=SETTLED_DAYS) <= row[0]:
            yield _merge(stream, month, following, days)


def _months(found: list[Part]) -> dict[dt.date, list[Part]]:
    months: dict[dt.date, list[Part]] = {}
    for part in found:
        months.setdefault(part.since.replace(day=1), []).append(part)
    return months


def _merge(stream: Stream, month: dt.date, following: dt.date, days: list[Part]) -> Due:
    name = f"{stream.table}_m{month:%Y%m}"
    draft = f"{name}_next"
    bounds = {"since": sql.Literal(month), "upto": sql.Literal(following)}
    with connect() as connection:
        alone(connection, stream)
        names = {
            "parent": sql.Identifier("bronze", stream.table),
            "draft": sql.Identifier("bronze", draft),
            "name": sql.Identifier(name),
            "month": sql.Identifier("bronze", name),
        } | bounds
        connection.execute(sql.SQL(DRAFT).format(**names))
        count = 0
        for day in days:
            query = sql.SQL("insert into {} select * from {} order by partition, {}").format(
                names["draft"], sql.Identifier("bronze", day.name), sql.Identifier("offset")
            )
            count += connection.execute(query).rowcount
        for day in days:
            connection.execute(sql.SQL("drop table {}").format(sql.Identifier("bronze", day.name)))
        connection.execute(sql.SQL(ATTACH).format(**names))
    log.info("put together", extra={"stream": stream.table, "month": name, "rows": count})
    return Due(stream.table, "bronze", name, f"{len(days)} partitions put together, none lost",
               rows=0)  # fmt: skip


# People, messages, segments ------------------------------------------------------------------


def _forget(stream: Stream, run_id: str | None) -> list[Due]:
    with connect() as connection:
        day = before(connection, stream)
        if day is None:
            return []
        alone(connection, stream)
        events = forget_events(connection, stream, day)
        orders = forget_rows(connection, stream, day)
        _, kept = kept_tables(connection, stream)
        sums = f"silver.{stream.sums[1]}"
        rows = sum(forget_sums(connection, stream, day, table) for table in (kept, sums))
        reason = f"of days more than {stream.retention.personal} ago: emptied of their person"
        due = [
            Due(stream.table, "personal", name, reason, count)
            for name, count in (
                (f"bronze.{stream.table}", events),
                (f"silver.{stream.table}_*", orders),
                (sums, rows),
            )
            if count
        ]
        note(connection, due, run_id)
        return due


def _due_messages(connection: psycopg.Connection[Any], stream: Stream) -> list[Due]:
    query = sql.SQL("select count(*) from {} where quarantined_at < now() - %s::interval").format(
        sql.Identifier("quarantine", stream.table)
    )
    row = connection.execute(query, [stream.retention.quarantine]).fetchone()
    if not row or not row[0]:
        return []
    reason = f"came more than {stream.retention.quarantine} ago"
    return [Due(stream.table, "quarantine", f"quarantine.{stream.table}", reason, row[0])]


def _let_messages_go(stream: Stream, run_id: str | None) -> list[Due]:
    with connect() as connection:
        due = _due_messages(connection, stream)
        query = sql.SQL("delete from {} where quarantined_at < now() - %s::interval").format(
            sql.Identifier("quarantine", stream.table)
        )
        connection.execute(query, [stream.retention.quarantine])
        note(connection, due, run_id)
        return due


def _due_segments(connection: psycopg.Connection[Any], stream: Stream) -> list[Due]:
    """Segments of the folder log of which every record was read."""
    if settings().kafka_bootstrap:
        return []
    read = dict(
        connection.execute(
            "select partition, next_offset from ops.stream_partitions"
            " where (stream, topic) = (%s, %s)",
            [stream.table, stream.topic],
        ).fetchall()
    )
    return [
        Due(stream.table, "file", str(path.relative_to(settings().stream_folder)),
            f"read, and written more than {stream.retention.log} ago", bytes=size)
        for path, size in segments.old(stream, read, _since(connection, stream))
    ]  # fmt: skip


def _since(connection: psycopg.Connection[Any], stream: Stream) -> float:
    """Seconds since 1970 before which a read segment was written long ago."""
    row = connection.execute(
        "select extract(epoch from now() - %s::interval)::float", [stream.retention.log]
    ).fetchone()
    assert row
    return float(row[0])


def _let_segments_go(stream: Stream, run_id: str | None) -> list[Due]:
    with connect() as connection:
        if not settings().kafka_bootstrap:
            segments.end_old(stream, _since(connection, stream))
        due = _due_segments(connection, stream)
        note(connection, due, run_id)
    for one in due:  # after the commit: a segment without its note is found again
        (settings().stream_folder / one.name).unlink(missing_ok=True)
    return due


PARTS = """
select c.relname, bound[1]::date, bound[2]::date, pg_total_relation_size(c.oid)
from pg_inherits i join pg_class c on c.oid = i.inhrelid,
    regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \\('([^']+)'\\) TO \\('([^']+)'\\)$$)
        as bound
where i.inhparent = to_regclass(%(parent)s)
order by 2
"""
REMOVED = """
insert into ops.stream_removals (stream, arrived_on, events, late)
select %(stream)s, arrived_on, count(*), count(*) filter (where late) from {table}
where arrived_on < %(limit)s group by 2
on conflict (stream, arrived_on) do update set
    events = stream_removals.events + excluded.events,
    late = stream_removals.late + excluded.late, removed_at = now()
"""
IDS = """
insert into ops.stream_ids (stream, topic, partition, "offset", id)
select p.stream, p.topic, b.partition, b."offset", b.{id}
from {table} b join ops.stream_partitions p
    on p.stream = %(stream)s and (p.topic, p.partition) = (b.topic, b.partition)
where b.arrived_on < %(limit)s and b."offset" >= p.next_offset - %(within)s
on conflict do nothing
"""
# A constraint says what ATTACH would otherwise read the whole partition for.
DRAFT = """
create table {draft} (like {parent} including all,
    constraint of_the_month check (arrived_on >= {since} and arrived_on < {upto}))
"""
ATTACH = """
alter table {draft} rename to {name};
alter table {parent} attach partition {month} for values from ({since}) to ({upto});
alter table {month} drop constraint of_the_month
"""
