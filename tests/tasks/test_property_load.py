"""Whatever rows a file holds: none is lost, and the good ones are in silver as they should be."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks import blocks as blocks_module
from tasks.load import load
from tests.tasks.conftest import Make, counts, findings, rows
from warehouse.database import connect

KEYS = st.sampled_from(["1", "2", "3", " 4", "5.0", "x", ""])
WORDS = st.sampled_from(["A", " a ", "b\n", 'q"q', "", "C", "ä,ö", "\u00a0a"])
DAYS = st.sampled_from(["2024-02-29", "2023-02-29", "", "29/02/2024", "1/1/24"])
ROW = st.one_of(
    st.tuples(KEYS, WORDS, DAYS),
    st.sampled_from([(), ("1",), ("1", "A", "2024-01-01", "more"), ("", "", "")]),
)
Files = st.SearchStrategy[list[tuple[str, ...]]]


def wanted(record: tuple[str, ...]) -> tuple[Any, ...] | str:
    """The row that a record stands for; else what becomes of the record."""
    if not record or not "".join(record).strip():
        return "ignored"
    if len(record) != 3:
        return "quarantined"
    key, word, day = (cell.strip() for cell in record)
    if not re.fullmatch(r"\d+(\.0*)?", key) or word.upper() == "C":
        return "quarantined"
    try:
        return int(float(key)), word.upper() or None, dt.date.fromisoformat(day) if day else None
    except ValueError:
        return "quarantined"


def expected(records: list[tuple[str, ...]]) -> tuple[dict[int, Any], int, int]:
    """Silver by key, quarantined, ignored: the first good row of a key wins."""
    kept: dict[int, Any] = {}
    bad = ignored = 0
    for record in records:
        row = wanted(record)
        if isinstance(row, str):
            bad, ignored = bad + (row == "quarantined"), ignored + (row == "ignored")
        elif row[0] in kept:
            bad += 1
        else:
            kept[row[0]] = row
    return kept, bad, ignored


def one_by_one(make: Make, folder: Path, count: int, rows_of_a_file: Files) -> None:
    """Load three files after another, `count` times anew: the counts and silver are as expected."""
    things = make(
        columns={
            "id": "integer",
            "word": {"type": "text", "clean": ["trim", "upper"]},
            "day": "date",
        },
        key=["id"],
        rules=[{"name": "no_c", "reject_if": "word = 'C'", "column": "word"}],
    )
    path = folder / "a.csv"

    @settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @example([], [("1", "A", "")], "\n")
    @given(rows_of_a_file, rows_of_a_file, st.sampled_from(["\n", "\r\n"]))
    def check(first: list[tuple[str, ...]], second: list[tuple[str, ...]], end: str) -> None:
        with connect() as connection:
            connection.execute("truncate silver.test_things, quarantine.test_things")
        silver: dict[int, Any] = {}
        for records in (first, second, [*second, *first]):
            text = io.StringIO()
            writer = csv.writer(text, lineterminator=end)
            writer.writerows([("id", "word", "day"), *records])
            path.write_bytes(text.getvalue().encode())
            kept, bad, ignored = expected(records)
            loaded = load(things, path, force=True)[0]
            fresh = len(kept.keys() - silver.keys())
            same = sum(silver.get(key) == row for key, row in kept.items())
            silver |= kept
            assert counts(loaded) == (
                len(records), fresh, len(kept) - fresh - same, 0, same, bad, ignored
            )  # fmt: skip
            assert rows(things) == sorted(silver.values(), key=str)
            assert len({f[0] for f in findings(things)}) == bad

    before, blocks_module.BLOCK = blocks_module.BLOCK, 40
    try:
        check()
    finally:
        blocks_module.BLOCK = before


def test_in_is_loaded_quarantined_unchanged_and_ignored(make: Make, tmp_path: Path) -> None:
    """A load costs more than its rows: few files of many rows try as much, sooner."""
    one_by_one(make, tmp_path, 4, st.lists(ROW, min_size=20, max_size=50))


@pytest.mark.full
def test_many_files_add_up(make: Make, tmp_path: Path) -> None:
    one_by_one(make, tmp_path, 150, st.lists(ROW, max_size=12))
