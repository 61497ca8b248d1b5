"""Forget people: past their days, bronze and the sums no longer say whom an event is about."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import psycopg
from psycopg import sql

from tasks.stream.fold import added
from warehouse.pseudonyms import NOBODY
from warehouse.stream_values import NONE
from warehouse.streams import Stream


def before(connection: psycopg.Connection[Any], stream: Stream) -> dt.date | None:
    """The first day of events whose people are known; None: all are."""
    if stream.retention.personal is None:
        return None
    row = connection.execute(
        "select ((now() - %s::interval) at time zone %s)::date",
        [stream.retention.personal, stream.timezone],
    ).fetchone()
    assert row
    found: dt.date = row[0]
    return found


def forget_events(connection: psycopg.Connection[Any], stream: Stream, day: dt.date) -> int:
    """Have the events before a day be nobody's; how many were somebody's."""
    count = 0
    for column in stream.person_columns:
        count += connection.execute(
            sql.SQL(
                "update {table} set {who} = %(nobody)s where {who} <> %(nobody)s"
                " and ({at} at time zone %(zone)s)::date < %(day)s"
            ).format(
                table=sql.Identifier("bronze", stream.table),
                who=sql.Identifier(column),
                at=sql.Identifier(stream.time),
            ),
            {"nobody": NOBODY, "zone": stream.timezone, "day": day},
        ).rowcount
    return count


def forget_rows(connection: psycopg.Connection[Any], stream: Stream, day: dt.date) -> int:
    """The same in silver's tables of events (orders); nobody is null there: no customer."""
    found = connection.execute(
        "select p.table_name, p.column_name from information_schema.columns p"
        " join information_schema.columns d using (table_schema, table_name)"
        " where p.table_schema = 'silver' and starts_with(p.table_name, %s)"
        " and p.column_name = any(%s) and d.column_name = 'day'",
        [f"{stream.table}_", stream.person_columns],
    ).fetchall()
    count = 0
    for table, column in found:
        query = sql.SQL("update {} set {who} = null where {who} is not null and day < %(day)s")
        count += connection.execute(
            query.format(sql.Identifier("silver", table), who=sql.Identifier(column)),
            {"day": day},
        ).rowcount
    return count


def forget_sums(
    connection: psycopg.Connection[Any], stream: Stream, day: dt.date, table: str
) -> int:
    """Put the people's sums before a day together as nobody's; how many rows were somebody's.

    `table`: `schema.table`, of the columns of silver's sums by person.
    """
    measures = [sql.Identifier(m.name) for m in stream.measures]
    done = connection.execute(
        sql.SQL(
            "with gone as (delete from {table} where day < %(day)s and dimension = any(%(whose)s)"
            " and value <> all(%(nobodys)s) returning *), put as ("
            "insert into {table} as old (dimension, day, value, {measures})"
            " select dimension, day, %(nobody)s, {sums} from gone group by 1, 2"
            " on conflict (dimension, day, value) do update set {added})"
            " select count(*) from gone"
        ).format(
            table=sql.Identifier(*table.split(".")),
            measures=sql.SQL(", ").join(measures),
            sums=sql.SQL(", ").join(sql.SQL("sum({})").format(m) for m in measures),
            added=added(stream),
        ),
        {
            "day": day, "whose": _of_people(stream), "nobody": NOBODY, "nobodys": [NONE, NOBODY],
        },
    ).fetchone()  # fmt: skip
    assert done
    return int(done[0])


def _of_people(stream: Stream) -> list[str]:
    """The dimensions made from pseudonyms."""
    known = "|".join(map(re.escape, stream.person_columns)) or "$^"
    return [d.name for d in stream.dimensions if re.search(rf"\b({known})\b", d.by) and d.person]
