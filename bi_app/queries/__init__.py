"""Questions to the database, asked as the viewer; each is a `.sql` file of this folder.

A file may name tables as `{table}` (filled by identifiers that our own code allows, never by
text from outside); values are bound as `%(name)s`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from warehouse.access import Viewer, acting_as

HERE = Path(__file__).parent
Asked = Mapping[str, Any]
COPY_HEADER, COPY_TRAILER = 19, 2


def rows(
    viewer: Viewer,
    name: str,
    values: Asked | None = None,
    *,
    seconds: int | None = None,
    **parts: sql.Composable,
) -> list[DictRow]:
    """The rows of `<name>.sql` as the viewer may see them, as dicts; at most `seconds` long."""
    with _connection(viewer) as connection, connection.cursor(row_factory=dict_row) as cursor:
        if seconds:
            cursor.execute("select set_config('statement_timeout', %s, true)", [f"{seconds}s"])
        return cursor.execute(statement(name, **parts), values).fetchall()


def numbers(
    viewer: Viewer,
    name: str,
    columns: Sequence[tuple[str, str]],
    values: Asked | None = None,
    **parts: Any,
) -> np.ndarray[Any, Any]:
    """The rows of a query whose columns are all integers, as a structured array.

    `columns` holds (name, numpy type) in the query's order: i2, i4 or i8, as the query casts
    them. Binary COPY of fixed-width rows is some ten times cheaper than fetching them.
    """
    query = sql.SQL("copy ({}) to stdout (format binary)").format(statement(name, **parts))
    with (
        _connection(viewer) as connection,
        connection.cursor() as cursor,
        cursor.copy(query, values) as copy,
    ):
        data = b"".join(bytes(block) for block in copy)
    return _decoded(data, columns)


def _decoded(data: bytes, columns: Sequence[tuple[str, str]]) -> np.ndarray[Any, Any]:
    """Fixed-width rows of PostgreSQL's binary COPY: a count, then length and value a column."""
    fields: list[tuple[str, str]] = [("_count", ">i2")]
    for name, kind in columns:
        fields += [(f"_{name}", ">i4"), (name, f">{kind}")]
    body = data[COPY_HEADER : len(data) - COPY_TRAILER]
    found = np.frombuffer(body, dtype=np.dtype(fields))
    plain = np.empty(len(found), dtype=np.dtype([(n, k) for n, k in columns]))
    for name, _ in columns:
        plain[name] = found[name]
    return plain


@contextmanager
def _connection(viewer: Viewer) -> Iterator[psycopg.Connection[Any]]:
    with acting_as(viewer) as connection:
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        yield driver


def statement(name: str, **parts: sql.Composable) -> sql.Composed:
    """A query file with its identifiers filled in."""
    return sql.SQL(_text(name)).format(**parts)


@cache
def _text(name: str) -> str:
    return (HERE / f"{name}.sql").read_text("utf-8")
