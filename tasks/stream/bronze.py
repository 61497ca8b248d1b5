"""Events out of bronze, in pieces: typed as the stream's spec says, their time in UTC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from tasks.duck import Duck
from warehouse.streams import Stream

PIECE = 8 << 20  # bytes in memory at a time
ARROW = {
    "varchar": pa.string(),
    "timestamptz": pa.string(),
    "bigint": pa.int64(),
    "decimal(18,4)": pa.decimal128(18, 4),
    "boolean": pa.bool_(),
}
NOTHING: Mapping[str, str] = MappingProxyType({})


def counting(stream: Stream) -> sql.Composed:
    """The condition on bronze that an event is in the sums."""
    return sql.SQL(
        '(not late or exists (select from {} l where (l.partition, l."offset") ='
        ' (b.partition, b."offset") and l.folded_at is not null))'
    ).format(sql.Identifier("silver", f"{stream.table}_late"))


@contextmanager
def pieces(
    connection: psycopg.Connection[Any],
    stream: Stream,
    condition: sql.Composed,
    before: Mapping[str, str] = NOTHING,
) -> Iterator[Iterator[pa.Table]]:
    """Events that meet a condition on `b` and `late`; the connection is busy with them.

    `before`: columns before the event's, with their types in DuckDB.
    """
    duck = Duck()
    columns = {**before, **stream.columns}
    # Names come from the validated spec.
    query = sql.SQL("copy (select {} from {} b where {}) to stdout (format csv)").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier("bronze", stream.table),
        condition,
    )
    timed = f'select * replace ("{stream.time}"::timestamptz as "{stream.time}") from rows'  # noqa: S608
    with copied(connection, query, columns) as found:
        yield (duck.ask(timed, rows=rows) for rows in found)


@contextmanager
def copied(
    connection: psycopg.Connection[Any], query: sql.Composed, columns: Mapping[str, str]
) -> Iterator[Iterator[pa.Table]]:
    """The rows of a `copy … to stdout (format csv)` in pieces.

    For a `with`: a generator that is left in the middle would hold the connection for ever.
    `columns`: their names and types in DuckDB; a time stays text.
    """
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        yield (_typed(columns, text) for text in _blocks(copy))


def _blocks(copy: psycopg.Copy) -> Iterator[bytes]:
    """Whole lines, about PIECE bytes at a time."""
    lines, size = list[bytes](), 0
    for line in copy:
        lines.append(bytes(line))
        size += len(line)
        if size > PIECE:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)


def _typed(columns: Mapping[str, str], text: bytes) -> pa.Table:
    from pyarrow import csv

    return csv.read_csv(
        pa.py_buffer(text),
        csv.ReadOptions(column_names=list(columns), block_size=len(text) + 1),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types={name: ARROW[kind] for name, kind in columns.items()},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
        ),
    )
