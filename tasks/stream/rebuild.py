"""Silver from bronze alone: the weekly proof that what was folded is right, and its repair.

The same fold goes over all that bronze holds. Consumers wait meanwhile: their batches begin by
moving the rows that are locked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tasks.stream.bronze import counting, pieces
from tasks.stream.fold import Fold, add
from tasks.stream.forget import before, forget_sums
from tasks.stream.kept import add_kept, kept_tables, still
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.streams import Stream


@dataclass(frozen=True)
class Rebuilt:
    """`events` that were folded anew, and how many sums were wrong before."""

    events: int
    differing: int


def rebuild(stream: Stream) -> Rebuilt:
    """Fold all of bronze anew, and put right what differs in silver.

    To that come the sums of the days that retention let go of.

    Raises:
        LoadFailed: bronze lacks other events; silver stays as it is.
        Busy: another rebuild, a restatement or retention is under way.
    """
    tables = stream.sums
    # Bronze is read on a connection of its own: one that is in a COPY can do nothing else.
    with connect() as connection, connect() as beside:
        events = _locked(connection, stream)
        fresh = tuple(f"pg_temp.{name}_anew" for name in tables)
        for name, anew in zip(tables, fresh, strict=True):
            connection.execute(
                sql.SQL(
                    "create temp table {} (like {} including defaults including indexes)"
                    " on commit drop"
                ).format(
                    sql.Identifier(anew.removeprefix("pg_temp.")), sql.Identifier("silver", name)
                )
            )
        fold = Fold(stream)
        with pieces(beside, stream, counting(stream)) as found:
            for piece in found:
                add(connection, stream, fold(piece), (fresh[0], fresh[1]))
        for kept, anew in zip(kept_tables(connection, stream), fresh, strict=True):
            add_kept(connection, stream, kept, anew)
        if day := before(connection, stream):
            for people in (fresh[1], f"silver.{tables[1]}"):
                forget_sums(connection, stream, day, people)
        pairs = zip(tables, fresh, strict=True)
        differing = sum(_put_right(connection, stream, *pair) for pair in pairs)
        connection.execute(
            "insert into ops.stream_rebuilds (stream, events, differing) values (%s, %s, %s)",
            [stream.table, events, differing],
        )
        return Rebuilt(events, differing)


def restate(stream: Stream) -> int:
    """Fold in the events that came too late, and stamp the sums; how many there were."""
    late = sql.Identifier("silver", f"{stream.table}_late")
    with connect() as connection, connect() as beside:
        _locked(connection, stream)
        open_ = sql.SQL(
            'late and exists (select from {} l where (l.partition, l."offset") ='
            ' (b.partition, b."offset") and l.folded_at is null)'
        ).format(late)
        fold, count = Fold(stream), 0
        with pieces(beside, stream, open_) as found:
            for piece in found:
                add(connection, stream, fold(piece), restated=True)
                count += piece.num_rows
        query = sql.SQL(
            "update {} set folded_at = now() where folded_at is null and arrived_on <> all("
            "select arrived_on from ops.stream_removals where stream = %s)"
        ).format(late)
        changed = connection.execute(query, [stream.table]).rowcount
        if changed != count:
            raise LoadFailed(
                f"{changed - count} late events of {stream.table} are not in bronze any more.",
                remedy="They cannot be folded in; restore a backup that holds them.",
            )
        return count


def _locked(connection: psycopg.Connection[Any], stream: Stream) -> int:
    """Have the consumers wait until the transaction ends; how many events bronze holds.

    The partitions' time moves, so that open pages look again.

    Raises:
        LoadFailed: fewer than were written, and not let go of by retention.
        Busy: retention is under way.
    """
    still(connection, stream)
    rows = connection.execute(
        "update ops.stream_partitions set moved_at = now() where stream = %s"
        " returning counted + late",
        [stream.table],
    ).fetchall()
    written = sum(count for (count,) in rows)
    query = sql.SQL(
        "select count(*), (select coalesce(sum(events), 0) from ops.stream_removals"
        " where stream = %s) from {}"
    ).format(sql.Identifier("bronze", stream.table))
    row = connection.execute(query, [stream.table]).fetchone()
    assert row
    found, removed = map(int, row)
    if found + removed != written:
        raise LoadFailed(
            f"bronze.{stream.table} holds {found:,} of {written - removed:,} events.",
            remedy="What was lost cannot be folded anew; the sums stay as they are.",
        )
    return found


def _put_right(connection: psycopg.Connection[Any], stream: Stream, table: str, anew: str) -> int:
    """Make silver what was folded anew, keeping the stamps; how many rows were not so."""
    parts = {
        "old": sql.Identifier("silver", table),
        "new": sql.Identifier(*anew.split(".")),
        "columns": sql.SQL(", ").join(
            map(sql.Identifier, ["dimension", "day", "value", *(m.name for m in stream.measures)])
        ),
    }
    differing = connection.execute(
        sql.SQL(
            "select count(distinct (dimension, day, value)) from ("
            " (select {columns} from {old} except select {columns} from {new}) union all"
            " (select {columns} from {new} except select {columns} from {old})) as each"
        ).format(**parts)
    ).fetchone()
    assert differing
    if differing[0]:
        connection.execute(
            sql.SQL(
                "update {new} n set restated_at = o.restated_at from {old} o"
                " where (n.dimension, n.day, n.value) = (o.dimension, o.day, o.value);"
            ).format(**parts)
        )
        connection.execute(sql.SQL("delete from {old}").format(**parts))
        connection.execute(
            sql.SQL(
                "insert into {old} ({columns}, restated_at)"
                " select {columns}, restated_at from {new}"
            ).format(**parts)
        )
    return int(differing[0])
