"""Sources that are no text become text, and load like any file."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.load import load
from tasks.rebuild import rebuild
from tests.tasks.conftest import Make, ask, rows
from warehouse.errors import SourceMalformed, SpecError
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
