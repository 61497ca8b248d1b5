"""COPY in binary: what PostgreSQL reads is what Arrow held."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tasks.bulk import BATCH, copy_in
from warehouse.database import connect

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
FIRST, LAST = dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31)
COLUMNS: dict[str, tuple[pa.DataType, str, st.SearchStrategy[Any]]] = {
    "whole": (pa.int32(), "integer", st.integers(-(2**31), 2**31 - 1)),
    "long": (pa.int64(), "bigint", st.integers(-(2**63), 2**63 - 1)),
    "price": (pa.decimal128(18, 4), "numeric", st.decimals(-(10**13), 10**13, places=4)),
    "exact": (pa.decimal128(38, 9), "numeric", st.decimals(-(10**28), 10**28, places=9)),
    "share": (pa.float64(), "double precision", st.floats(allow_nan=False)),
    "yes": (pa.bool_(), "boolean", st.booleans()),
    "day": (pa.date32(), "date", st.dates(FIRST.date(), LAST.date())),
    "moment": (pa.timestamp("us"), "timestamp", st.datetimes(FIRST, LAST)),
    "word": (pa.string(), "text", TEXT),
}
NAMES = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
ROW = st.tuples(*(st.none() | values for *_, values in COLUMNS.values()))


@pytest.fixture
def cursor(database: str) -> Any:
    with connect() as connection, connection.cursor() as cursor:
        columns = ", ".join(f"{name} {kind}" for name, (_, kind, _) in COLUMNS.items())
        cursor.execute(f"create temp table held (place serial, {columns})".encode())
        yield cursor
        connection.rollback()


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    kinds = [kind for kind, *_ in COLUMNS.values()]
    arrays = [pa.array(c, k) for c, k in zip(columns, kinds, strict=True)]
    return pa.table(arrays, list(COLUMNS))


def read(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
    return cursor.execute(sql.SQL("select {} from held order by place").format(NAMES)).fetchall()


def test_every_type_arrives_as_it_was(cursor: psycopg.Cursor[Any]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(ROW, max_size=5))
    def arrives(rows: list[tuple[Any, ...]]) -> None:
        cursor.execute("truncate held")
        copy_in(cursor, sql.Identifier("held"), iter([table(rows)]))
        assert read(cursor) == rows

    arrives()


def test_many_tables_make_one_copy(cursor: psycopg.Cursor[Any]) -> None:
    rest: list[Any] = [None] * (len(COLUMNS) - 1)
    tables = (table([(n, *rest)] * (BATCH + 1)) for n in range(3))
    copy_in(cursor, sql.Identifier("held"), tables)
    found = cursor.execute("select whole, count(*) from held group by 1 order by 1").fetchall()
    assert found == [(n, BATCH + 1) for n in range(3)]


def test_nothing_to_copy_is_no_error(cursor: psycopg.Cursor[Any]) -> None:
    copy_in(cursor, sql.Identifier("held"), iter(()))
    copy_in(cursor, sql.Identifier("held"), iter([table([])]))
    assert read(cursor) == []


def test_a_number_keeps_its_decimals(cursor: psycopg.Cursor[Any]) -> None:
    row = dict.fromkeys(COLUMNS) | {"price": Decimal("0.1000"), "exact": Decimal("-0.000000001")}
    copy_in(cursor, sql.Identifier("held"), iter([table([tuple(row.values())])]))
    shown = cursor.execute("select price::text, exact::text from held").fetchone()
    assert shown == ("0.1000", "-0.000000001")
