"""What other tables say of an event: looked up when it is read, and kept with it.

So a rebuild gives the same sums, whatever the other table says by then; `anew` has bronze follow
it. The other table is read again every REFRESH_S seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from tasks.stream.bronze import copied
from tasks.stream.kept import still
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.streams import Lookup, Stream

REFRESH_S = 60.0
MOST_KEYS = 1_000_000  # of a table: they are held in memory


class Known(NamedTuple):
    """A table's keys, and the columns that are taken of it, by the names they get."""

    keys: pa.ChunkedArray
    columns: dict[str, pa.ChunkedArray]


class Lookups:
    """Adds to events what the stream's lookups say; for one thread."""

    def __init__(self, stream: Stream) -> None:
        """Read nothing yet."""
        self._lookups = stream.lookups
        self._known: list[Known] = []
        self._due = 0.0

    def __call__(self, events: pa.Table) -> pa.Table:
        """The events with the columns of the lookups; null where the other table has no such key.

        Raises:
            ConfigurationError: a table has too many keys.
        """
        if self._lookups and time.monotonic() >= self._due:
            self._known = [_read(one) for one in self._lookups]
            self._due = time.monotonic() + REFRESH_S
        for one, known in zip(self._lookups, self._known, strict=True):
            asked = pc.cast(events[one.by], pa.string())
            places = pc.index_in(asked, value_set=known.keys, skip_nulls=True)
            for name, column in known.columns.items():
                events = events.append_column(name, pc.take(column, places))
        return events


def anew(stream: Stream) -> int:
    """Have the events of bronze say what the other tables say now; how many say otherwise.

    Raises:
        Busy: a rebuild, a restatement or retention is under way.
    """
    with connect() as connection:
        still(connection, stream)
        return sum(connection.execute(_changes(stream, one)).rowcount for one in stream.lookups)


def _changes(stream: Stream, one: Lookup) -> sql.Composed:
    """One statement for all rows."""
    ours = [sql.SQL("o.{}").format(sql.Identifier(name)) for name in one.columns]
    theirs = [sql.SQL("l.{}").format(sql.Identifier(name)) for name in one.columns]
    sets = zip(map(sql.Identifier, one.columns), theirs, strict=True)
    return sql.SQL(
        "update {bronze} b set {sets} from {bronze} o left join ({rows}) l on l._key = o.{by}::text"
        ' where (b.arrived_on, b.partition, b."offset") = (o.arrived_on, o.partition, o."offset")'
        " and ({ours}) is distinct from ({theirs})"
    ).format(
        bronze=sql.Identifier("bronze", stream.table),
        rows=_rows(one),
        by=sql.Identifier(one.by),
        sets=sql.SQL(", ").join(sql.SQL("{} = {}").format(*pair) for pair in sets),
        ours=sql.SQL(", ").join(ours),
        theirs=sql.SQL(", ").join(theirs),
    )


def _rows(one: Lookup) -> sql.Composed:
    """The rows that are looked up in: `_key`, and the columns by the names they get, as text."""
    named = [("_key", one.key), *one.columns.items()]
    return sql.SQL("select {} from {} where {}").format(
        sql.SQL(", ").join(
            sql.SQL("{}::text as {}").format(sql.Identifier(theirs), sql.Identifier(ours))
            for ours, theirs in named
        ),
        sql.Identifier("silver", one.dataset),
        sql.SQL(" and ").join(
            [sql.SQL("true"), *(sql.SQL("{}::text = {}").format(sql.Identifier(name), value)
                                for name, value in one.where.items())]
        ),
    )  # fmt: skip


def _read(one: Lookup) -> Known:
    """A table as it is now."""
    query = sql.SQL("copy ({}) to stdout (format csv)").format(_rows(one))
    types = dict.fromkeys(("_key", *one.columns), "varchar")
    nothing = pa.schema([(name, pa.string()) for name in types]).empty_table()
    with connect() as connection, copied(connection, query, types) as found:
        table = pa.concat_tables([nothing, *_few(one, found)])
    return Known(table["_key"], {name: table[name] for name in one.columns})


def _few(one: Lookup, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    count = 0
    for piece in pieces:
        count += piece.num_rows
        if count > MOST_KEYS:
            raise ConfigurationError(
                f"silver.{one.dataset} has more than {MOST_KEYS:,} rows: too many to look up in.",
                remedy="Join it in a gold table, or look up in a smaller one.",
            )
        yield piece
