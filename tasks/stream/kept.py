"""The sums of what bronze let go of: kept beside it, so that silver can still be made anew.

Silver is always these sums and those of the events that bronze holds.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from tasks.stream.fold import added
from warehouse.errors import Busy
from warehouse.streams import Stream, send_back

WAIT_S = 60
# Ids that no duplicate can bring again, as their window has passed.
OLD_IDS = """
delete from ops.stream_ids i using ops.stream_partitions p
where i.stream = %(stream)s
    and (p.stream, p.topic, p.partition) = (i.stream, i.topic, i.partition)
    and i."offset" < p.next_offset - %(within)s
"""


def alone(connection: psycopg.Connection[Any], stream: Stream) -> None:
    """Have no other rebuild, restatement or retention of the stream until the transaction ends.

    Raises:
        Busy: one is still under way after a minute.
    """
    connection.execute(f"set local lock_timeout = '{int(WAIT_S * 1000)}ms'")
    try:
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", [f"keep {stream.table}"])
    except psycopg.errors.LockNotAvailable as error:
        raise Busy(
            f"{stream.table} is being rebuilt, restated or let go of already.",
            remedy="Wait until that is over.",
        ) from error
    connection.execute("set local lock_timeout = 0")


def still(connection: psycopg.Connection[Any], stream: Stream) -> None:
    """The same, and have the consumers wait; they begin anew from the database after it.

    Raises:
        Busy: another one is still under way after a minute.
    """
    alone(connection, stream)
    send_back(connection, stream)


def kept_tables(connection: psycopg.Connection[Any], stream: Stream) -> tuple[str, str]:
    """Where the sums of what went are: (of all, of people); made when first asked for."""
    names = (f"{stream.table}_kept_by", f"{stream.table}_kept_by_person")
    for name, silver in zip(names, stream.sums, strict=True):
        connection.execute(
            sql.SQL(
                "create table if not exists {} (like {} including defaults including indexes)"
            ).format(sql.Identifier("bronze", name), sql.Identifier("silver", silver))
        )
    return f"bronze.{names[0]}", f"bronze.{names[1]}"


def add_kept(connection: psycopg.Connection[Any], stream: Stream, kept: str, into: str) -> None:
    """Add the sums of what went to others, for the dimensions that the stream still has."""
    measures = [sql.Identifier(m.name) for m in stream.measures]
    connection.execute(
        sql.SQL(
            "insert into {into} as old (dimension, day, value, {measures})"
            " select dimension, day, value, {measures} from {kept} where dimension = any(%s)"
            " on conflict (dimension, day, value) do update set {added}"
        ).format(
            into=sql.Identifier(*into.split(".")),
            kept=sql.Identifier(*kept.split(".")),
            measures=sql.SQL(", ").join(measures),
            added=added(stream),
        ),
        [[d.name for d in stream.dimensions]],
    )
