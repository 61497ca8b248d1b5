"""Reading text: every way a file may be written, without a database."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import blocks as blocks_module
from tasks import records as records_module
from tasks.dialect import encoding_of
from tasks.extract import Arrival, arrival, places
from tasks.records import Batch, batches
from tests.tasks.conftest import as_text
from warehouse.errors import SourceMalformed
from warehouse.spec import Dataset


def read(dataset: Dataset, path: Path) -> tuple[list[list[str]], list[Batch]]:
    """All cells, as rows, and the batches they came in."""
    arrived = arrival(dataset, path)
    found = list(batches(arrived, dataset.source, places(dataset, arrived).used))
    rows = [list(row) for b in found for row in zip(*b.cells.to_pydict().values(), strict=True)]
    return rows, found


def read_bytes(folder: Path, content: bytes, headers: list[str], **source: Any) -> Any:
    path = folder / "file.csv"
    path.write_bytes(content)
    rows, found = read(as_text(folder, headers, source=source), path)
    lines = [int(n) for b in found for n in b.line_no]
    noted = [(f.record_no, f.line_no, f.rule, f.value) for b in found for f in b.findings]
    return rows, lines, noted, sum(b.blank for b in found)


@pytest.fixture(params=[16 << 20, 24])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks as large as ever, and so small that each record spans several."""
    monkeypatch.setattr(blocks_module, "BLOCK", request.param)
    return int(request.param)


SPECTRUM = [
    *("comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "location_coordinates"),
    *("newlines", "newlines_crlf", "quotes_and_newlines", "simple", "simple_crlf", "utf8"),
]


@pytest.mark.shared
@pytest.mark.parametrize("name", SPECTRUM)
def test_csv_spectrum_has_the_answers_given(
    name: str, shared: Path, tmp_path: Path, block: int
) -> None:
    folder = shared / "dirty" / "csv_spectrum"
    answer = json.loads((folder / "json" / f"{name}.json").read_text("utf-8"))
    answer = answer if isinstance(answer, list) else [answer]
    if name == "newlines_crlf":  # this copy of the file has lost its carriage returns
        answer[1]["a"] = answer[1]["a"].replace("\r", "")
    if name == "location_coordinates":  # its answer was given for another number
        answer[0]["Contact Phone Number"] = "2095257564"
    dataset = as_text(tmp_path, list(answer[0]))
    rows, _ = read(dataset, folder / "csvs" / f"{name}.csv")
    assert rows == [list(row.values()) for row in answer]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "preamble"),
    [
        ("frictionless/table.csv", 0),
        ("frictionless/bom.csv", 0),
        ("frictionless/delimiter.csv", 0),
        ("frictionless/doublequote.csv", 0),
        ("frictionless/encoding-issue-274.csv", 0),
        ("frictionless/latin1.csv", 0),
        ("frictionless/long.csv", 0),
        ("frictionless/table.tsv", 0),
        ("messytables/211.csv", 0),
        ("messytables/complex.csv", 0),
        ("messytables/example.tsv", 0),
        ("messytables/long.csv", 0),
        ("messytables/simple.csv", 0),
        ("messytables/simple.psv", 0),
        ("messytables/simple.ssv", 0),
        ("messytables/skip_initials.csv", 0),
        ("messytables/spanish_chars.csv", 0),
        ("messytables/utf-16le_encoded.csv", 0),
        ("messytables/utf8bom.csv", 0),
        ("messytables/weird_head_padding.csv", 0),
        ("messytables/excel_pasting.csv", 3),
        ("messytables/mixedGLB.csv", 1),
    ],
)
def test_real_files_read_as_the_csv_module_reads_them(
    name: str, preamble: int, shared: Path, tmp_path: Path
) -> None:
    path = shared / "dirty" / name
    source = {"header": False, "preamble": preamble}
    seen = arrival(as_text(tmp_path, ["c1"], source=source), path)
    dialect = seen.dialect
    dataset = as_text(tmp_path, list(dialect.header), source=source)
    rows, found = read(dataset, path)
    text = path.read_bytes().decode(dialect.encoding, "replace")
    text = "".join(text.splitlines(keepends=True)[dialect.first_line - 1 :])
    if dialect.returns_only:
        text = text.replace("\r", "\n")
    wanted = list(csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter))
    width = len(dialect.header)
    good = [row for row in wanted if len(row) == width and "\ufffd" not in "".join(row)]
    assert rows == good
    assert sum(len(b.findings) for b in found) == len(wanted) - len(good) - wanted.count([])
    assert sum(b.records for b in found) == len(wanted)


def test_records_keep_their_line_numbers(tmp_path: Path, block: int) -> None:
    content = b'a,b\n1,"two\nlines"\n\n2,x\n3\n4,"y"\n'
    rows, lines, noted, blank = read_bytes(tmp_path, content, ["a", "b"])
    assert rows == [["1", "two\nlines"], ["2", "x"], ["4", "y"]]
    assert (lines, blank) == ([2, 5, 7], 1)
    assert noted == [(4, 6, "ragged", "3")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_a_line_end(end: bytes, tmp_path: Path, block: int) -> None:
    content = end.join([b"a,b", b"1,x", b"", b'2,"y"', b"3,z"])
    rows, lines, noted, blank = read_bytes(tmp_path, content, ["a", "b"])
    assert rows == [["1", "x"], ["2", "y"], ["3", "z"]]
    assert (lines, noted, blank) == ([2, 4, 5], [], 1)


def test_a_lone_carriage_return_is_text(tmp_path: Path) -> None:
    rows, lines, noted, _ = read_bytes(tmp_path, b"a,b\n1,x\ry\n2,z\n", ["a", "b"])
    assert (rows, lines, noted) == ([["1", "x\ry"], ["2", "z"]], [2, 3], [])


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("cp1252", b""),
    ],
)
def test_encodings_are_found(encoding: str, mark: bytes, tmp_path: Path, block: int) -> None:
    text = "näme,b\nÄpfel & Öl,1\nÆon,2\n" + "plain text,3\n" * 9
    rows, _, noted, _ = read_bytes(tmp_path, mark + text.encode(encoding), ["näme", "b"])
    assert rows[:2] == [["Äpfel & Öl", "1"], ["Æon", "2"]]
    assert (len(rows), noted) == (11, [])


def test_one_bad_byte_holds_back_one_line(tmp_path: Path, block: int) -> None:
    content = "a,b\n1,é\n2,ü\n".encode() + b"3,\xff!\n" + "4,ß\n".encode() + b"5,\x00\n6,x\n"
    rows, lines, noted, _ = read_bytes(tmp_path, content, ["a", "b"])
    assert rows == [["1", "é"], ["2", "ü"], ["4", "ß"], ["6", "x"]]
    assert lines == [2, 3, 5, 7]
    assert noted == [(3, 4, "encoding", "3,\\xff!"), (5, 6, "encoding", "5,\\x00")]


def test_a_stated_encoding_is_kept(tmp_path: Path) -> None:
    content = "a\n" + "Ελλάδα\n"
    rows, *_ = read_bytes(tmp_path, content.encode("iso-8859-7"), ["a"], encoding="iso-8859-7")
    assert rows == [["Ελλάδα"]]


def test_cp1252_is_chosen_where_utf8_does_not_hold() -> None:
    assert encoding_of("naïve café".encode("cp1252")) == "cp1252"
    assert encoding_of("naïve café".encode()) == "utf-8"
    assert encoding_of(b"plain", ["später".encode("cp1252")]) == "cp1252"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files(pack: Any, tmp_path: Path) -> None:
    rows, *_ = read_bytes(tmp_path, pack(b"a;b\n1;2\n"), ["a", "b"])
    assert rows == [["1", "2"]]


@pytest.mark.parametrize("start", [b"PK\x03\x04xxxx", b"\xd0\xcf\x11\xe0xxxx", b"\x00\x01" * 90])
def test_what_is_no_text_is_refused(start: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceMalformed, match=r"file\.csv.*Save it as CSV"):
        read_bytes(tmp_path, start, ["a"])


def test_preamble_comments_footer(tmp_path: Path, block: int) -> None:
    content = b'Report "of\nthe week\n# note\n\na;"b\n c"\n1;2\n# 3;4\n5;"Total\n6"\nTotal;9\n7;8\n'
    rows, lines, noted, _ = read_bytes(
        tmp_path, content, ["a", "b c"], preamble=2, comment="#", footer="Total"
    )
    assert rows == [["1", "2"], ["5", "Total\n6"]]
    assert (lines, noted) == ([7, 9], [])


def test_a_file_without_header(tmp_path: Path) -> None:
    rows, lines, _, _ = read_bytes(tmp_path, b"1|x\n2|y\n", ["c2", "c1"], header=False)
    assert (rows, lines) == ([["1", "x"], ["2", "y"]], [1, 2])


def test_stray_quotes_do_not_swallow_lines(tmp_path: Path, block: int) -> None:
    content = b'a,b\n1,5" disk\n2,3.5",\n3,x\n4,"y" z\n5,"open\n6,w\n'
    rows, lines, noted, _ = read_bytes(tmp_path, content, ["a", "b"])
    assert rows == [["1", '5" disk'], ["3", "x"], ["4", "y z"], ["6", "w"]]
    assert lines == [2, 4, 5, 7]
    assert [n[:3] for n in noted] == [(2, 3, "ragged"), (5, 6, "ragged")]


def test_an_open_quote_costs_one_line_however_long_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "LONGEST_RECORD", 300)
    monkeypatch.setattr(blocks_module, "BLOCK", 200)
    content = b'a,b\n1,"open\n' + b"".join(b"%d,x\n" % i for i in range(2, 500))
    rows, lines, noted, _ = read_bytes(tmp_path, content, ["a", "b"])
    assert len(rows) == 498
    assert lines == list(range(3, 501))
    assert noted == [(1, 2, "ragged", '1,"open')]


def test_quotes_may_be_switched_off(tmp_path: Path) -> None:
    rows, *_ = read_bytes(tmp_path, b'a,b\n"1,2\n3,"4"\n', ["a", "b"], quote=None)
    assert rows == [['"1', "2"], ["3", '"4"']]


def test_a_missing_column_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceMalformed) as caught:
        read_bytes(tmp_path, b"\nid,branche\n1,x\n", ["id", "branch"])
    assert caught.value.line == 2
    assert caught.value.column == "branch"
    assert "file.csv, line 2, column 'branch'" in str(caught.value)
    assert "renamed to 'branche'" in str(caught.value)


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceMalformed, match="more than once"):
        read_bytes(tmp_path, b"id,x,ID\n1,2,3\n", ["id"])


MARKS = "".join(map(chr, range(0x10FF00, 0x110000)))  # how blocks.py keeps bytes that are no text
CELLS = st.text(st.characters(codec="utf-8", exclude_characters=f"\0\r\ufeff{MARKS}"), max_size=8)


@pytest.mark.parametrize("mark", [MARKS[0], MARKS[-1]])
def test_a_character_that_marks_broken_bytes_holds_its_line_back(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text(f"a,b\n1,{mark}\n2,x\n")
    rows, found = read(as_text(tmp_path, ["a", "b"]), path)
    assert rows == [["2", "x"]]
    assert [(f.line_no, f.rule) for b in found for f in b.findings] == [(2, "encoding")]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=30),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.integers(4, 400),
)
def test_whatever_was_written_is_read(  # noqa: PLR0917
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[list[str]],
    delimiter: str,
    end: str,
    encoding: str,
    size: int,
) -> None:
    folder = tmp_path_factory.mktemp("written")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["first one", "second one"], *cells])
    path = folder / "file.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    dataset = as_text(folder, ["first one", "second one"])
    before, blocks_module.BLOCK = blocks_module.BLOCK, size
    try:
        rows, found = read(dataset, path)
    finally:
        blocks_module.BLOCK = before
    assert rows == cells
    assert not [f for b in found for f in b.findings]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(['"', ",", "\n", "a", " ", "\r\n", '""', '","']), max_size=40))
def test_no_text_is_lost_or_stops_the_reading(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    path = tmp_path_factory.mktemp("torn") / "file.csv"
    path.write_bytes(b"a,b\n" + "".join(pieces).encode())
    dataset = as_text(path.parent, ["a", "b"], source={"delimiter": ","})
    rows, found = read(dataset, path)
    noted = sum(len(b.findings) for b in found)
    assert sum(b.records for b in found) == len(rows) + noted + sum(b.blank for b in found)


def test_arrival_holds_what_the_ledger_needs(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a\n1\n")
    found = arrival(as_text(tmp_path, ["a"]), path)
    assert isinstance(found, Arrival)
    assert (found.bytes, found.dialect.encoding, found.dialect.first_line) == (4, "utf-8", 2)
