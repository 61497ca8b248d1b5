"""COPY Arrow tables into PostgreSQL in its binary format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

BATCH = 8_192  # rows encoded at a time: the encoder lets no other thread run meanwhile


def copy_in(
    cursor: psycopg.Cursor[Any],
    table: sql.Identifier,
    rows: Iterator[pa.Table],
    *,
    freeze: bool = False,
) -> None:
    """COPY tables of one schema into a table that has their columns.

    `freeze`: the table was made in this transaction, and its rows need no vacuum later.
    """
    first = next(rows, None)
    if first is None:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, first.column_names))
    options = sql.SQL("format binary, freeze" if freeze else "format binary")
    statement = sql.SQL("copy {} ({}) from stdin ({})").format(table, columns, options)
    encoder = ArrowToPostgresBinaryEncoder(first.schema)
    with cursor.copy(statement) as copy:
        copy.write(encoder.write_header())
        for batch in _batches(first, rows):
            copy.write(encoder.write_batch(batch))
        copy.write(encoder.finish())


def _batches(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    yield from first.to_batches(max_chunksize=BATCH)
    for table in rest:
        yield from table.to_batches(max_chunksize=BATCH)
