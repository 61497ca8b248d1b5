"""Sources that are no text become text, and load like any file."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import sources, spool
from tasks.load import load
from tasks.rebuild import rebuild
from tests.tasks.conftest import Make, ask, counts, findings, rows
from warehouse.errors import SourceMalformed, SourceUnavailable, SpecError
from warehouse.settings import settings
from warehouse.spec import Dataset

COLUMNS = {
    "number": "bigint",
    "word": "text",
    "price": "numeric",
    "on": "date",
    "at": "timestamp",
    "yes": "boolean",
    "parts": "text",
}
ROWS = [
    (1, 'a "b", c', Decimal("1.50"), dt.date(2024, 2, 29), dt.datetime(2024, 1, 1, 9, 30), True),
    (2, "zwei\nZeilen ä", None, None, dt.datetime(2024, 1, 2, 0, 0, 0, 250), None),
    (3, None, Decimal("-0.0001"), dt.date(1000, 1, 1), None, False),
]
PARTS = [{"a": [1, 2]}, None, {"a": []}]


@pytest.fixture
def things(make: Make) -> Dataset:
    return make(source={"kind": "parquet", "path": "*.parquet"}, key=["number"], columns=COLUMNS)


def parquet(path: Path) -> Path:
    columns = dict(zip(COLUMNS, zip(*ROWS, strict=True), strict=False))
    pq.write_table(pa.table(columns | {"parts": PARTS}), path, row_group_size=1)
    return path


def test_parquet_loads_and_can_be_made_anew(things: Dataset, tmp_path: Path) -> None:
    path = parquet(tmp_path / "things.parquet")
    assert [(r.inserted, r.quarantined) for r in load(things, path)] == [(3, 0)]
    kept = rows(things)
    assert [r[:6] for r in kept] == ROWS
    assert [r[6] for r in kept] == ['{"a": [1, 2]}', None, '{"a": []}']
    assert load(things, path) == []
    assert rebuild(things) == 3
    assert rows(things) == kept


def test_the_file_itself_is_kept(things: Dataset, tmp_path: Path) -> None:
    path = parquet(tmp_path / "things.parquet")
    load(things, path)
    ((digest,),) = ask("select sha256 from ops.files")
    assert (settings().home / "files" / digest).read_bytes() == path.read_bytes()


def test_what_is_no_parquet_is_refused(things: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    path.write_text("number,word\n1,a\n")
    with pytest.raises(SourceMalformed, match=r"things.parquet.*Parquet"):
        load(things, path)
    assert rows(things) == []


def test_a_wrong_kind_is_named(make: Make) -> None:
    with pytest.raises(SpecError, match="kind"):
        make(source={"kind": "tape", "path": "*"}, key=["number"], columns=COLUMNS)


FAULTY = pa.table(
    {
        "name": ["a", None, "", "d"],
        "2023": ["1", None, "3", "4"],
        "2024": ["1", None, "", "4"],
        "_fault": [None, "broken at byte 7", "", "half a record"],
    }
)
UNREADABLE = [
    (2, "unreadable", None, "broken at byte 7"),
    (4, "unreadable", None, "half a record"),
]


CASES: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]], list[tuple[Any, ...]]]] = {
    "content": ({"columns": {"name": "text"}, "key": "content"}, [("a",)], []),
    "key": ({"columns": {"name": "text"}, "key": ["name"]}, [("a",)], []),
    "range": (
        {
            "columns": {"n": {"type": "bigint", "from": "2023", "required": True, "min": 2}},
            "key": "content",
        },
        [(3,)],
        [(1, "range", "n", "1")],
    ),
    "two": (
        {
            "columns": {
                "name": {"type": "text", "optional": True},
                "n": {"type": "bigint", "from": "2023"},
            },
            "key": ["n"],
        },
        [("a", 1), (None, 3)],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_record_that_cannot_be_read_is_told_once(make: Make, tmp_path: Path, case: str) -> None:
    changes, kept, more = CASES[case]
    things = make(source={"kind": "parquet", "path": "*.parquet"}, **changes)
    path = tmp_path / "things.parquet"
    pq.write_table(FAULTY, path)
    (loaded,) = load(things, path)
    assert rows(things) == kept
    assert [(f[0], *f[2:]) for f in findings(things)] == sorted(UNREADABLE + more)
    assert [f[1] for f in findings(things) if f[2] == "unreadable"] == [3, 5]
    blank = 4 - len(kept) - 2 - len(more)
    assert counts(loaded) == (4, len(kept), 0, 0, 0, 2 + len(more), blank)


@pytest.mark.parametrize("skip_blank", [True, False])
def test_a_wide_record_that_cannot_be_read_is_told_once(
    make: Make, tmp_path: Path, skip_blank: bool
) -> None:
    things = make(
        source={
            "kind": "parquet",
            "path": "*",
            "unpivot": {
                "columns": r"\d+",
                "name": "year",
                "value": "n",
                "skip_blank": skip_blank,
            },
        },
        key="content",
        columns={"name": "text", "year": "integer", "n": {"type": "bigint", "required": True}},
    )
    path = tmp_path / "things.parquet"
    pq.write_table(FAULTY, path)
    (loaded,) = load(things, path)
    assert rows(things, "name year n") == [("a", 2023, 1), ("a", 2024, 1), (None, 2023, 3)]
    told = [f for f in findings(things) if f[2] == "unreadable"]
    assert told == [(3, 3, *UNREADABLE[0][1:]), (7, 5, *UNREADABLE[1][1:])]
    blank = 0 if skip_blank else 1  # the empty cell of 2024 in the third record
    assert counts(loaded) == (8, 3, 0, 0, 0, 2 + blank, 3 - blank)


def test_a_fault_in_a_text_file_is_a_column_like_others(make: Make, tmp_path: Path) -> None:
    things = make(
        key=["name"], columns={"name": "text", "said": {"type": "text", "from": "_fault"}}
    )
    path = tmp_path / "things.csv"
    path.write_text("name,_fault\na,b\n")
    load(things, path)
    assert rows(things) == [("a", "b")]


def test_a_file_that_changes_while_it_is_read_is_told(
    things: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet(tmp_path / "things.parquet")

    def changing(kind: str) -> Any:
        found = sources.reader(kind)

        def read(dataset: Dataset, path: Path) -> Any:
            yield from found(dataset, path)
            path.write_bytes(path.read_bytes() + b"more")

        return read

    monkeypatch.setattr(spool, "reader", changing)
    with pytest.raises(SourceUnavailable, match=r"things\.parquet: was changed while"):
        load(things, path)
    assert rows(things) == []


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("kind", ["json", "parquet", "excel", "database", "marc"])
def test_no_kind_imports_pandas(tmp_path: Path, kind: str) -> None:
    """It costs half a second and 40 MB a run."""
    command = [sys.executable, "-c", ALONE, kind, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


ALONE = """
import datetime as dt, json, os, sqlite3, sys
from pathlib import Path
from tasks.shape import provisional
from tasks.sources import reader
from tasks.spool import write
from warehouse.sources import AnySource
from pydantic import TypeAdapter

kind, folder = sys.argv[1], Path(sys.argv[2])
rows = [(1, "a", 0.5, dt.date(2024, 2, 29)), (2, None, 1.5, None), (3, "c", None, None)]
path, source = folder / "x", {"path": "x"}
if kind == "json":
    path.write_text(json.dumps([dict(zip("abc", row)) for row in rows]))
elif kind == "parquet":
    import pyarrow as pa, pyarrow.parquet as pq
    schema = pa.schema([("a", pa.int64())])
    values = pa.Array.from_buffers(pa.int64(), 3, [None, pa.py_buffer(bytes(24))])
    pq.write_table(pa.table([values], schema=schema), path)
elif kind == "excel":
    import openpyxl
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in [("a", "b", "c", "d"), *rows]:
        sheet.append(row)
    book.save(path)
elif kind == "marc":
    import pymarc
    record = pymarc.Record()
    record.add_field(pymarc.Field("001", data="x"))
    path.write_bytes(record.as_marc() * 3)
    source["fields"] = {"a": "001", "b": "245$a"}
else:
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (a, b, c, d)")
        given = [(*row[:3], str(row[3])) for row in rows]
        connection.executemany("insert into t values (?, ?, ?, ?)", given)
    os.environ["CARREL_SECRET_X"] = f"sqlite:///{path}"
    path, source = None, {"url": "x", "query": "select * from t"}
dataset = provisional(TypeAdapter(AnySource).validate_python({"kind": kind} | source))
before = set(sys.modules)
write(folder / "x.csv", reader(kind)(dataset, path))
assert "pandas" not in set(sys.modules) - before, "pandas"
print((folder / "x.csv").read_text().count(chr(10)) - 1)
"""
