"""What Arrow converts has the values that DuckDB would give, and refuses what DuckDB would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.arrays import numbers, texts
from tasks.convert import Converter
from tasks.duck import Duck
from tasks.expressions import Converted, good_rows
from tasks.extract import Places
from tests.tasks.conftest import spec
from warehouse.spec import Dataset

COLUMNS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer"},
    "bigint": {"type": "bigint", "nulls": ["", "0", "n/a"]},
    "numeric": {"type": "numeric"},
    "fine": {"type": "numeric", "scale": 6},
    "double": {"type": "double"},
    "date": {"type": "date"},
    "iso_date": {"type": "date", "formats": ["%Y-%m-%d"]},
    "timestamp": {"type": "timestamp"},
    "stated": {"type": "timestamp", "formats": ["%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S"]},
}
DIGITS = st.text("0123456789", min_size=1, max_size=20)
WHOLE = st.builds("{}{}".format, st.sampled_from(["", "-", "+", "0x", "00", " "]), DIGITS)
PARTS = st.builds("{}.{}{}".format, WHOLE, DIGITS, st.sampled_from(["", "e2", "E-2", "0000", " "]))
ODD = st.sampled_from(["", " ", "nan", "inf", "-Infinity", "1e400", ".5", "5.", "1e3", "n/a", "x"])
DATES = st.dates().map(str)
MOMENTS = st.datetimes().map(str)
CUT = st.builds(lambda text, size: text[:size], MOMENTS, st.integers(8, 26))
OTHER = st.datetimes().map(lambda moment: f"{moment:%d/%m/%Y %H:%M}")
ZONED = st.builds("{}{}".format, CUT, st.sampled_from(["Z", "+01:00", "T", " "]))
CELLS = st.one_of(WHOLE, PARTS, ODD, DATES, MOMENTS, CUT, OTHER, ZONED)
PLAIN = {
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "numeric": st.decimals(-(10**13), 10**13, places=4).map(str),
    "fine": st.decimals(-(10**30), 10**30, places=6).map("{:f}".format),
    "double": st.floats(allow_nan=False, allow_infinity=False).map(str),
    "date": DATES,
    "iso_date": DATES,
    "timestamp": MOMENTS,
    "stated": st.one_of(st.datetimes().map("{:%Y-%m-%d %H:%M:%S}".format), OTHER),
}


@pytest.fixture(scope="module")
def duck() -> Duck:
    return Duck()


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """A dataset for each column, with the row's number as its key."""
    folder = tmp_path_factory.mktemp("specs")
    key = {"type": "bigint"}
    return {
        name: spec(folder, name, key=["number"], columns={"number": key, "value": column})
        for name, column in COLUMNS.items()
    }


def block_of(cells: list[str]) -> pa.Table:
    count = [str(i) for i in range(len(cells))]
    order = numbers(np.arange(len(cells)))
    return pa.table([order, texts(count), texts(cells)], ["_r", "c0", "c1"])


def values(duck: Duck, dataset: Dataset, block: pa.Table, done: Converted) -> list[Any]:
    """The numbers and values of the good rows."""
    query = good_rows(dataset, Places({"number": 0, "value": 1}), done)
    found = duck.ask(query, block=block).sort_by("_r")
    return list(zip(found["number"].to_pylist(), found["value"].to_pylist(), strict=True))


@pytest.mark.parametrize("name", COLUMNS)
def test_whatever_stands_in_the_cells(name: str, duck: Duck, things: dict[str, Dataset]) -> None:
    @settings(max_examples=300, deadline=None)
    @example(["2024-02-29 05", "2024-02-29 05:06:07"])  # an hour alone is a time to Arrow only
    @given(st.lists(st.one_of(CELLS, PLAIN[name]), max_size=3))
    def same(cells: list[str]) -> None:
        dataset, block = things[name], block_of(cells)
        mended, done = Converter(zip(("c0", "c1"), dataset.columns, strict=True))(block)
        if "value" in done.wholly | done.in_part:  # else DuckDB is asked the same twice
            assert values(duck, dataset, mended, done) == values(duck, dataset, block, Converted())

    same()


@pytest.mark.parametrize("name", COLUMNS)
def test_plain_cells_are_converted(name: str, things: dict[str, Dataset]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(PLAIN[name], min_size=1, max_size=5))
    def converted(cells: list[str]) -> None:
        cells = [cell for cell in cells if "e" not in cell] or ["0"] * (name != "date")
        block = pa.table([texts([*cells, ""])], ["c1"])
        _, done = Converter([("c1", things[name].columns[1])])(block)
        assert "value" in done.wholly | done.in_part

    converted()
