"""Exports: whole or not there, the viewer's rows alone, and what comes out is what was put in."""

from __future__ import annotations

import csv
import datetime as dt
import json
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from tasks import writers
from tasks.export import export
from tasks.load import load
from tasks.stream.consume import consume
from tests.fix_stream import message, send
from tests.tasks.conftest import Make, ask
from warehouse import gold, spec
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import ConfigurationError, LoadFailed
from warehouse.sheets import in_xml, out_of_xml, plain_text, safe_text
from warehouse.streams import Stream

TYPES = {
    "note": "text",
    "small": "integer",
    "big": "bigint",
    "exact": "numeric",
    "near": "double",
    "yes": "boolean",
    "day": "date",
    "at": "timestamp",
}
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
NASTY = st.sampled_from(
    ["", " ", "=1+1", "'=1", "''+1", "-1", "@a", "\t", "\r", "a\r\nb", 'q"q', ",", "_x000D_",
     "#N/A", "NULL", "\\N", "\\.", "\u2028", "ÄÖ", "𐍈", "\x0b", "\uffff", "1e5", "true", "-"]
)  # fmt: skip
MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999))
ROW = st.tuples(
    st.none() | TEXT | NASTY,
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.decimals(-(10**33), 10**33, places=4),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
    st.none() | st.dates(),
    st.none() | MOMENTS | MOMENTS.map(lambda m: m.replace(microsecond=0)),
)


def read_parquet(path: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


def read_json(path: Path) -> list[tuple[Any, ...]]:
    text = path.read_text("utf-8")
    lines = text.split("\n")[:-1] if path.suffix == ".jsonl" else None
    found = (
        json.loads(text, parse_float=Decimal)
        if lines is None
        else [json.loads(line, parse_float=Decimal) for line in lines]
    )
    return [_typed(tuple(row.values())) for row in found]


def _typed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    _, note, small, big, exact, near, yes, day, at = row
    return (
        row[0], note, small, big, exact if exact is None else Decimal(exact),
        near if near is None else float(near), yes, day and dt.date.fromisoformat(day),
        at and dt.datetime.fromisoformat(at),
    )  # fmt: skip


def read_xlsx(path: Path) -> list[tuple[Any, ...]]:
    book = load_workbook(path, read_only=True)
    found = list(book.worksheets[0].iter_rows(min_row=2, values_only=True))
    book.close()
    return [_from_sheet(row) for row in found]


def _from_sheet(row: tuple[Any, ...]) -> tuple[Any, ...]:
    number, note, small, big, exact, near, yes, day, at = (*row, *[None] * 8)[:9]
    if isinstance(day, str):
        day = dt.date.fromisoformat(day)
    if isinstance(at, str):
        at = dt.datetime.fromisoformat(at)
    return (
        number, note and plain_text(out_of_xml(note)), small, None if big is None else int(big),
        None if exact is None else Decimal(str(exact)),
        None if near is None else float(near), yes,
        day.date() if isinstance(day, dt.datetime) else day, at,
    )  # fmt: skip


def read_csv(path: Path) -> list[tuple[Any, ...]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        _, *found = csv.reader(file)
    return [
        _typed((
            int(n), plain_text(note), *(v and int(v) for v in (small, big)), exact or None,
            near or None, {"true": True, "false": False, "": None}[yes], day, at,
        ))
        for n, note, small, big, exact, near, yes, day, at in found
    ]  # fmt: skip


def blank_as_none(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if value == "" else value for value in row)


def in_a_sheet(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Blank as none, and a double as openpyxl writes it."""
    return blank_as_none(tuple(float(f"{v:.16g}") if isinstance(v, float) else v for v in row))


def same(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row


@pytest.fixture
def table(make: Make, tmp_path: Path) -> Any:
    columns = {"n": "bigint"} | TYPES
    columns["note"] = {"type": "text", "clean": [], "nulls": [""]}
    source = {"path": str(tmp_path / "*.csv"), "delimiter": ","}
    things = make(columns=columns, key=["n"], source=source)
    return things


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: Callable[..., None]) -> None:
    setting(project=tmp_path)
    monkeypatch.setattr(spec, "datasets", cache(spec.datasets))  # to read 16 files takes a while
    monkeypatch.setattr(gold, "tables", cache(gold.tables))


def fill(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    with connect() as connection:
        connection.execute("truncate silver.test_things")
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into silver.test_things values (%s,%s,%s,%s,%s,%s,%s,%s,%s,1)",
                [(i, *row) for i, row in enumerate(rows)],
            )
    return [(i, *row) for i, row in enumerate(rows)]


def test_round_trip(table: Any, tmp_path: Path) -> None:
    """What is in the table is in every file, but for what a format cannot tell.

    parquet, json and jsonl tell every row apart; csv (as most readers take it) and xlsx give null
    for an empty text, and xlsx leaves out the 17th digit of a double.
    """
    out = tmp_path / "out"
    out.mkdir()
    ways: dict[str, tuple[Callable[[Path], Any], Callable[[Any], Any]]] = {
        "parquet": (read_parquet, same),
        "json": (read_json, same),
        "jsonl": (read_json, same),
        "xlsx": (read_xlsx, in_a_sheet),
        "csv": (read_csv, blank_as_none),
    }

    @settings(
        max_examples=12,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(ROW, max_size=12))
    def check(rows: list[tuple[Any, ...]]) -> None:
        put = fill(rows)
        for kind, (read, told) in ways.items():
            path = out / f"a.{kind}"
            assert export("test_things", path).rows == len(rows)
            assert [told(row) for row in read(path)] == [told(row) for row in put], kind

    check()


def test_csv_is_loaded_as_it_was(table: Any, tmp_path: Path) -> None:
    put = [("a,b\n", 1, -(2**62), Decimal("-1.2345"), 1e300, True, dt.date(1001, 2, 3), None)]
    put += [(None, None, None, None, None, None, None, dt.datetime(2024, 2, 29, 1, 2, 3, 45))]
    put += [("ä", -5, 0, Decimal("12345678901234.5"), 0.1, False, dt.date(9999, 12, 31), None)]
    fill(put)
    before = ask("select n, note, small, big, exact, near, yes, day, at from silver.test_things")
    export("test_things", tmp_path / "a.csv")
    with connect() as connection:
        connection.execute("truncate silver.test_things")
    loaded = load(table, tmp_path / "a.csv")[0]
    assert (loaded.rows_in, loaded.inserted) == (3, 3)
    after = ask("select n, note, small, big, exact, near, yes, day, at from silver.test_things")
    assert sorted(after) == sorted(before)


@given(TEXT | NASTY, TEXT | NASTY)
def test_marks_are_taken_back(one: str, other: str) -> None:
    assert plain_text(safe_text(one)) == one
    assert out_of_xml(in_xml(one)) == one
    assert (safe_text(one) == safe_text(other)) == (one == other)
    assert not safe_text(one).lstrip(" ").startswith(("=", "+", "-", "@"))


QUERY = "select 'NaN'::numeric as n, 'infinity'::date as d, 1.5::numeric as x, array[1] as a"


def test_what_no_column_holds_is_text(table: Any, tmp_path: Path) -> None:
    export(QUERY, tmp_path / "a.parquet")
    found = pq.read_table(tmp_path / "a.parquet")
    assert [str(t) for t in found.schema.types] == [
        "string",
        "string",
        "decimal128(38, 1)",
        "string",
    ]
    assert found.to_pylist() == [{"n": "NaN", "d": "infinity", "x": Decimal("1.5"), "a": "{1}"}]
    export(QUERY, tmp_path / "a.jsonl")
    text = (tmp_path / "a.jsonl").read_text()
    assert text == '{"n": "NaN", "d": "infinity", "x": 1.5, "a": "{1}"}\n'


def test_the_null_and_the_empty_text_of_csv(table: Any, tmp_path: Path) -> None:
    export("select 1 as a, null as b, '' as c, '=1' as d, -1 as e", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b'\xef\xbb\xbfa,b,c,d,e\r\n1,,"",\'=1,-1\r\n'


@pytest.mark.parametrize(
    "query",
    [
        "select 1; drop table silver.test_things",
        "select 1) to stdout; drop table silver.test_things; --",
        "delete from silver.test_things returning n",
        "with gone as (delete from silver.test_things returning n) select * from gone",
        "select nextval('ops.loads_load_id_seq')",
        "select * from no_such_table",
        "select 1 as a, 2 as a",
        "select 1/0 as a",
    ],
)
def test_only_a_select_is_run(table: Any, tmp_path: Path, query: str) -> None:
    fill([(None,) * 8])
    with pytest.raises(ConfigurationError):
        export(query, tmp_path / "a.csv")
    assert ask("select count(*) from silver.test_things") == [(1,)]
    assert not list(tmp_path.glob("*.csv")) + list(tmp_path.glob(".*"))


def test_a_slow_query_is_stopped(table: Any, tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="longer than 1 s"):
        export("select pg_sleep(20)", tmp_path / "a.csv", seconds=1)


def test_never_half_a_file(table: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_text("before")
    with pytest.raises(ConfigurationError, match=r"Row 2, column 't'.*40000 characters"):
        export("select repeat('x', n * 20000) as t from generate_series(1, 2) n", path)
    assert path.read_text() == "before"
    (tmp_path / ".a.xlsx.999999999.part").write_text("of a killed one")
    export("select 1 as a", path)
    assert [p.name for p in tmp_path.iterdir() if "xlsx" in p.name] == ["a.xlsx"]
    with pytest.raises(ConfigurationError, match="cannot be written"):
        export("select 1 as a", tmp_path / "nowhere" / "a.csv")
    with pytest.raises(ConfigurationError, match=r"\.doc is no kind"):
        export("select 1 as a", tmp_path / "a.doc")


def test_more_rows_than_a_sheet_holds(
    table: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MOST_ROWS", 4)
    export("select n from generate_series(1, 7) n", tmp_path / "a.xlsx")
    sheets = load_workbook(tmp_path / "a.xlsx").worksheets
    assert [[row[0].value for row in sheet.iter_rows()] for sheet in sheets] == [
        ["n", 1, 2, 3], ["n", 4, 5, 6], ["n", 7]
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_memory_is_flat(table: Any, tmp_path: Path, kind: str) -> None:
    def peak(rows: int) -> int:
        query = f"select n, repeat('x', 1000) as t from generate_series(1, {rows}) n"
        tracemalloc.start()
        export(query, tmp_path / f"a.{kind}")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    limit = writers.CHARACTERS * 2 if kind == "parquet" else 4 << 20
    assert peak(20_000) < limit


def test_the_sums_of_a_stream(sales: Stream, tmp_path: Path) -> None:
    send(sales, message(1), message(2, customer_id="7"))
    consume(sales, once=True)
    path = tmp_path / "sums.csv"
    export("retail_sales_by", path)
    with path.open(encoding="utf-8-sig") as file:
        rows = {(r["dimension"], r["value"]): r for r in csv.DictReader(file)}
    assert rows["country", "France"]["lines"] == "2"
    export("silver.retail_sales_by_person", path, viewer=Viewer("lin", "librarian", ("A",)))
    with path.open(encoding="utf-8-sig") as file:
        people = [r for r in csv.DictReader(file) if r["dimension"] == "customer"]
    assert [r["lines"] for r in people] == ["1", "1"]
    assert "value" not in people[0]
    with pytest.raises(ConfigurationError):
        export("silver.retail_sales", path)
