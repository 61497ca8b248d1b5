"""Datasets drafted for what a scan found, and for files that are no text."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from tasks.adopt import adopt
from tasks.draft import Drafted, draft
from tasks.kinds import KINDS
from tasks.load import load
from tasks.scan import again, scan
from tests.tasks.conftest import rows
from warehouse.errors import CarrelError, SourceMalformed
from warehouse.migrate import migrate
from warehouse.sources import BUILT_IN
from warehouse.spec import datasets

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def landing(tmp_path: Path, setting: Callable[..., None]) -> Path:
    """An empty landing folder, and an empty project."""
    setting(project=tmp_path / "project", landing=tmp_path / "landing")
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


def local() -> dict[str, str]:
    """The drafted datasets and their paths."""
    return {n: d.source.path for n, d in datasets().items() if d.domain == "local"}  # type: ignore[attr-defined]


def test_parquet_is_drafted_and_loads(landing: Path) -> None:
    path = landing / "loans.parquet"
    table = {
        "loan id": [1, 2, 3],
        "lent on": ["2024-01-02", "2024-01-03", None],
        "tags": [["a"]] * 3,
    }
    pq.write_table(pa.table(table), path)
    made = draft(path)
    assert made.dataset.source.kind == "parquet"
    assert [(c.name, c.header, c.type) for c in made.dataset.columns][:2] == [
        ("loan_id", "loan id", "integer"),
        ("lent_on", "lent on", "date"),
    ]
    migrate()
    assert [(one.inserted, one.quarantined) for one in load(made.dataset, path)] == [(3, 0)]
    assert len(rows(made.dataset)) == 3


def test_what_of_a_workbook_is_not_read_is_said(landing: Path) -> None:
    book = Workbook()
    for row in (["Loans of May"], [], ["id", "title"], [1, "Emma"], [2, "Persuasion"]):
        book.active.append(row)
    book.create_sheet("older").append(["id", "title"])
    book.create_sheet("empty")
    book.save(landing / "loans.xlsx")
    notes = draft(landing / "loans.xlsx").notes
    assert notes[0] == "Row 1 stands above the table (up to row 1): not read."
    assert notes[1].startswith("Only the sheet 'Sheet' is read; not 'older'.")
    assert len(notes) == 2


def test_a_workbook_without_a_header_keeps_its_first_row(landing: Path) -> None:
    book = Workbook()
    for row in ([dt.date(2024, 1, 1), 7], [dt.date(2024, 1, 2), 8]):
        book.active.append(row)
    book.save(landing / "counts.xlsx")
    made = draft(landing / "counts.xlsx")
    assert [(c.name, c.header) for c in made.dataset.columns] == [
        ("column_1", "c1"),
        ("column_2", "c2"),
    ]
    assert "No row names the columns" in made.notes[0]
    migrate()
    assert load(made.dataset)[0].inserted == 2
    assert rows(made.dataset)[0] == (dt.date(2024, 1, 1), 7)
    assert scan(landing).files[0].rows == 2


def test_marc_of_which_no_record_can_be_shown_is_drafted(landing: Path) -> None:
    field = "Анна Каренина".encode("cp1251")
    content = b"245%04d00000\x1e" % (len(field) + 5) + b"10\x1fa" + field + b"\x1e\x1d"
    path = landing / "old.mrc"
    path.write_bytes(b"%05dnam  2200037   4500" % (24 + len(content)) + content)
    made = draft(path)
    assert any("bytes that are no text: quarantined. Is `encoding:`" in n for n in made.notes)
    migrate()
    assert [(one.rows_in, one.quarantined) for one in load(made.dataset, path)] == [(1, 1)]


def test_headers_that_name_nothing_are_refused(landing: Path) -> None:
    path = landing / "x.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), path)
    with pytest.raises(SourceMalformed, match=r"x\.parquet, column 'a'.*stand twice"):
        draft(path)


def test_every_content_has_a_kind_that_a_spec_may_name() -> None:
    known = {model.model_fields["kind"].annotation.__args__[0] for model in BUILT_IN}  # type: ignore[union-attr]
    assert {kind.name for kind in KINDS.values()} <= known


def test_a_zip_says_what_to_do(landing: Path) -> None:
    with zipfile.ZipFile(landing / "two.zip", "w") as archive:
        archive.writestr("a.csv", "id,name\n1,a\n")
        archive.writestr("b.csv", "id,name\n1,a\n")
    with pytest.raises(SourceMalformed, match=r"zip of 2 files: 'a.csv', 'b.csv'.*carrel scan"):
        draft(landing / "two.zip")


def test_what_no_dataset_takes_is_drafted_once(landing: Path) -> None:
    """Files of one header and folder become one dataset; names stay apart."""
    for day in ("01", "02", "11"):
        (landing / f"sales-{day}.csv").write_text(f"id,item,price\n{day},pen,1.5\n")
    (landing / "stock.csv").write_text("item,count\npen,3\n")
    (landing / "old").mkdir()
    (landing / "old" / "stock.csv").write_text("thing,count,shelf\npen,3,A\n")
    (landing / "notes.txt").write_text("Nothing to see here.\n")
    (landing / "broken.parquet").write_bytes(b"PAR1 and no more")
    found = scan(landing)
    outcomes = {o.path: o.drafted for o in adopt(found)}
    assert {p for p, o in outcomes.items() if isinstance(o, CarrelError)} == {"broken.parquet"}
    assert sum(isinstance(o, Drafted) for o in outcomes.values()) == 3
    assert set(local().values()) == {"sales-*.csv", "stock.csv", "old/stock.csv"}
    assert {s.path: s.taker and s.taker.by for s in again(found).files} == {
        "sales-01.csv": "path",
        "sales-02.csv": "path",
        "sales-11.csv": "path",
        "stock.csv": "path",
        "old/stock.csv": "path",
        "notes.txt": None,
        "broken.parquet": None,
    }
    assert [o for o in adopt(again(found)) if isinstance(o.drafted, Drafted)] == []
    migrate()
    sales = next(d for d in datasets().values() if d.name.startswith("sales"))
    assert sum(one.inserted for one in load(sales)) == 3


def test_a_glob_never_takes_what_is_no_part_of_the_group(landing: Path) -> None:
    for name in ("a1.csv", "a2.csv"):
        (landing / name).write_text("id,item,price\n1,pen,1.5\n")
    (landing / "a3.csv").write_text("other,header\nx,y\n")
    for outcome in adopt(scan(landing)):
        assert isinstance(outcome.drafted, Drafted)
    assert sorted(local().values()) == ["a1.csv", "a2.csv", "a3.csv"]
