"""Bronze keeps the lines of a file in pages, and shows them a row a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import land as land_module
from tasks.blocks import Block, bronze_lines
from tasks.land import PAGE, ROW, paged
from tasks.load import load
from tests.tasks.conftest import Make, ask

LINE = st.one_of(st.just(b""), st.binary(max_size=9), st.just(b"x" * (PAGE + 1)))


def pages(rows: bytes) -> list[tuple[int, int, bytes]]:
    """(first line, last line, text) of rows in COPY's binary format."""
    found, at = [], 0
    while at < len(rows):
        _, _, first, _, last, size = ROW.unpack_from(rows, at)
        at += ROW.size
        found.append((first, last, rows[at : at + size]))
        at += size
    return found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(LINE.map(lambda b: b.replace(b"\n", b"")), min_size=1, max_size=40),
    st.booleans(),
    st.integers(1, 10**12),
)
def test_pages_hold_every_line_once(lines: list[bytes], ended: bool, first: int) -> None:
    text = b"\n".join(lines) + (b"\n" if ended else b"")
    if not text:
        return
    found = [page for rows, _ in paged(Block(text, first)) for page in pages(rows)]
    whole = text if text.endswith(b"\n") else text + b"\n"
    assert b"".join(text for *_, text in found) == whole
    expected = first
    for start, last, page in found:
        assert start == expected
        assert last - start + 1 == page.count(b"\n")
        assert len(page) <= PAGE or page.count(b"\n") == 1
        expected = last + 1
    *_, (_, told) = paged(Block(text, first))
    assert told == expected - 1 == first + whole.count(b"\n") - 1


def test_the_view_shows_a_row_a_line(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(land_module, "PAGES", 4)
    things = make(key=["number"], columns={"number": "bigint", "word": "text"})
    lines = [
        "number,word",
        "",
        "1,a\r",
        "2," + "ä" * 9_000,
        "",
        "",
        *(f"{n},b" for n in range(3, 4_000)),
    ]
    path = tmp_path / "things.csv"
    path.write_text("\n".join(lines), "utf-8", newline="")
    load(things, path)
    shown = ask("select line_no, line from bronze.test_things order by line_no")
    assert shown == list(enumerate(lines, 1))
    ((load_id,),) = ask("select distinct load_id from bronze.test_things")
    assert b"".join(bronze_lines("test_things", load_id)).decode() == "\n".join(lines) + "\n"
    ((seventeenth,),) = ask("select line from bronze.test_things where line_no = 17")
    assert seventeenth == lines[16]
