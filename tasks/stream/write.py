"""One batch, one transaction: bronze, quarantine, late events, sums, and how far it has come."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from tasks.bulk import copy_in
from tasks.stream.claims import Claims
from tasks.stream.fold import add
from tasks.stream.judge import Batch
from warehouse.streams import Stream

WORKING = ("_at", "_hash", "_record", "_late")  # columns for judging alone
INSTANT = pa.timestamp("us", "UTC")


def write(
    connection: psycopg.Connection[Any], stream: Stream, claims: Claims, batch: Batch
) -> None:
    """Write what a batch made, and move its partitions; all of it or nothing.

    Raises:
        Fenced: a partition is another consumer's now.
    """
    with connection.transaction():
        claims.move(connection, batch.moves)
        now = _now(connection)
        if batch.events is not None and batch.events.num_rows:
            _bronze(connection, stream, batch.events, now)
            _late(connection, stream, batch.events, now)
        if batch.refused:
            _quarantine(connection, stream, batch, now)
        note_duplicates(connection, stream, batch.again)
        if batch.folded is not None:
            add(connection, stream, batch.folded)


def write_late(connection: psycopg.Connection[Any], stream: Stream, events: pa.Table) -> None:
    """Write events that are all late, within the caller's transaction."""
    now = _now(connection)
    _bronze(connection, stream, events, now)
    _late(connection, stream, events, now)


def on_time(batch: Batch) -> pa.Table | None:
    """The events that count."""
    if batch.events is None or not batch.events["_late"].null_count:
        return None
    if batch.events["_late"].null_count == batch.events.num_rows:
        return batch.events
    return batch.events.filter(pc.is_null(batch.events["_late"]))


def _now(connection: psycopg.Connection[Any]) -> dt.datetime:
    """The transaction's time: when all of the batch arrived."""
    row = connection.execute("select now()").fetchone()
    assert row
    found: dt.datetime = row[0]
    return found


def _bronze(
    connection: psycopg.Connection[Any], stream: Stream, events: pa.Table, now: dt.datetime
) -> None:
    rows = events.drop_columns(list(WORKING))
    count = rows.num_rows
    at = rows.schema.get_field_index("logged_at")
    rows = rows.set_column(at, "logged_at", rows["logged_at"].cast(INSTANT))
    at = rows.schema.get_field_index("partition")
    rows = rows.set_column(at, "partition", rows["partition"].cast(pa.int32()))
    for name, value in (
        ("arrived_on", pa.scalar(now.date())),
        ("topic", pa.scalar(stream.topic)),
        ("ingested_at", pa.scalar(now, INSTANT)),
    ):
        rows = rows.append_column(name, pa.repeat(value, count))
    rows = rows.append_column("late", pc.is_valid(events["_late"]))
    with connection.cursor() as cursor:
        copy_in(cursor, _partition(connection, stream, now.date()), iter([rows]))


def _partition(connection: psycopg.Connection[Any], stream: Stream, day: dt.date) -> sql.Identifier:
    """Bronze's partition for a day of arrival; made by the first batch of the day."""
    name = f"{stream.table}_d{day:%Y%m%d}"
    there = connection.execute("select to_regclass(%s)", [f"bronze.{name}"]).fetchone()
    if there is None or there[0] is None:
        # Two consumers may come at once.
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", [f"bronze.{name}"])
        connection.execute(
            sql.SQL(
                "create table if not exists {} partition of {} for values from ({}) to ({})"
            ).format(
                sql.Identifier("bronze", name),
                sql.Identifier("bronze", stream.table),
                sql.Literal(day),
                sql.Literal(day + dt.timedelta(days=1)),
            )
        )
    return sql.Identifier("bronze", name)


def _late(
    connection: psycopg.Connection[Any], stream: Stream, events: pa.Table, now: dt.datetime
) -> None:
    """Show what came too late to be counted."""
    late = events.filter(pc.is_valid(events["_late"]))
    if not late.num_rows:
        return
    shown = ("partition", "offset", stream.id, stream.time, "_late")
    columns = [late[name].to_pylist() for name in shown]
    connection.execute(
        sql.SQL(
            'insert into {} (partition, "offset", {}, {}, late_by, arrived_on, arrived_at)'
            " select p, o, id, at, late * interval '1 microsecond', %s, %s"
            " from unnest(%s::integer[], %s::bigint[], %s::text[], %s::timestamptz[],"
            " %s::bigint[]) as each (p, o, id, at, late)"
        ).format(
            sql.Identifier("silver", f"{stream.table}_late"),
            sql.Identifier(stream.id),
            sql.Identifier(stream.time),
        ),
        [now.date(), now, *columns],
    )


def note_duplicates(connection: psycopg.Connection[Any], stream: Stream, at: list[int]) -> None:
    """Count what was dropped, by the shop's day of its sale; `at` in microseconds since 1970."""
    if not at:
        return
    connection.execute(
        sql.SQL(
            "insert into {} as old (day, events)"
            " select ((timestamptz 'epoch' + us * interval '1 microsecond') at time zone %s)::date,"
            " count(*) from unnest(%s::bigint[]) as us group by 1 order by 1"
            " on conflict (day) do update set events = old.events + excluded.events"
        ).format(sql.Identifier("silver", f"{stream.table}_duplicates")),
        [stream.timezone, at],
    )


def _quarantine(
    connection: psycopg.Connection[Any], stream: Stream, batch: Batch, now: dt.datetime
) -> None:
    """Keep each message that is no event, as it came, with the reason."""
    connection.execute(
        sql.SQL(
            'insert into {} (topic, partition, "offset", logged_at, quarantined_at, reason,'
            " message) select %s, p, o, timestamptz 'epoch' + at * interval '1 microsecond', %s,"
            " why, raw"
            " from unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::text[], %s::bytea[])"
            " as each (p, o, at, why, raw)"
        ).format(sql.Identifier("quarantine", stream.table)),
        [
            stream.topic,
            now,
            [one.partition for one in batch.refused],
            [one.offset for one in batch.refused],
            [one.logged_at for one in batch.refused],
            [one.reason for one in batch.refused],
            [one.message for one in batch.refused],
        ],
    )
