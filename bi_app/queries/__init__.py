"""Questions to the database, asked as the viewer; each is a `.sql` file of this folder.

A file may name tables as `{table}` (filled by identifiers that our own code allows, never by
text from outside); values are bound as `%(name)s`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, LiteralString

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from warehouse import audit
from warehouse.access import Viewer, acting_as

HERE = Path(__file__).parent
Asked = Mapping[str, Any]
SENDS: Mapping[str, LiteralString] = {"i2": "int2send", "i4": "int4send", "i8": "int8send"}
PACK = sql.SQL("select string_agg({packed}, ''::bytea) from ({query}) as q group by {first}")


@dataclass(frozen=True)
class Noted:
    """What the audit log says of a change: act, subject, from where, and facts about it."""

    act: str
    subject: str
    address: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    door: audit.Door = "page"


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


def write(viewer: Viewer, name: str, values: Asked, noted: Noted) -> list[DictRow]:
    """Run `<name>.sql` as the viewer in a transaction that may write what grants allow.

    The audit log tells of it in the same transaction: both are there afterwards, or neither.
    """
    by = audit.viewer(viewer, noted.door, noted.address)
    with acting_as(viewer, writes=True) as connection:
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        with driver.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(statement(name), values).fetchall()
        audit.note(by, noted.act, noted.subject, on=connection, **noted.details)
    return found


def columns(viewer: Viewer, name: str, values: Asked | None = None) -> dict[str, tuple[Any, ...]]:
    """The rows of `<name>.sql` by column; equal values are kept once."""
    with _connection(viewer) as connection, connection.cursor() as cursor:
        found = cursor.execute(statement(name), values).fetchall()
        names = [c.name for c in cursor.description or ()]
    once: dict[Any, Any] = {}
    kept = [tuple(once.setdefault(v, v) for v in column) for column in zip(*found, strict=True)]
    return dict(zip(names, kept or [()] * len(names), strict=True))


def numbers(
    viewer: Viewer,
    name: str,
    columns: Sequence[tuple[str, str]],
    values: Asked | None = None,
    **parts: sql.Composable,
) -> np.ndarray[Any, Any]:
    """The rows of a query whose columns are all integers, as a structured array, in no order.

    `columns` holds (name, numpy type) in the query's order: i2, i4 or i8, as the query casts
    them. PostgreSQL packs all rows with the same first value into one string, which costs this
    process 30 times less than fetching rows.
    """
    packed = sql.SQL(" || ").join(
        sql.SQL(f"{SENDS[kind]}({{}})").format(sql.Identifier(column)) for column, kind in columns
    )
    query = PACK.format(
        packed=packed, query=statement(name, **parts), first=sql.Identifier(columns[0][0])
    )
    with _connection(viewer) as connection, connection.cursor(binary=True) as cursor:
        data = b"".join(row[0] for row in cursor.execute(query, values))
    kinds = [(column, f">{kind}") for column, kind in columns]
    return np.frombuffer(data, dtype=np.dtype(kinds)).astype(np.dtype(list(columns)))


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
