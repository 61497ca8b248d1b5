"""Datasets drafted for what a scan found, and for files that are no text."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
