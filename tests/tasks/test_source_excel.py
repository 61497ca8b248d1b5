"""Workbooks of every format, real and made, load as they look."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from openpyxl import Workbook, load_workbook
from python_calamine import CalamineWorkbook

from tasks.load import load
from tasks.rebuild import rebuild
from tasks.sources import FAULT
from tasks.sources.excel import Wanted, head_of, read
from tasks.sources.workbook import opened
from tests.tasks.conftest import Make, ask, counts, findings, rows, spec
from warehouse.errors import SourceMalformed
from warehouse.settings import settings

EXCEL = {"kind": "excel", "path": "*"}
ENDINGS = (".xls", ".xlsx", ".xlsm", ".xlsb", ".ods")
Row = dict[str, str | None]


@pytest.fixture
def plain(tmp_path: Path) -> Callable[..., list[Row]]:
    """Read a file with some source settings; columns are what the header names."""

    def found(path: Path, columns: dict[str, Any] | None = None, **source: Any) -> list[Row]:
        optional = {"zz": {"type": "text", "from": "not there", "optional": True}}
        dataset = spec(tmp_path, source=EXCEL | source, columns=columns or optional, key="content")
        tables = list(read(dataset, path))
        assert {tuple(t.column_names) for t in tables} == {tuple(tables[0].column_names)}
        return [row for table in tables for row in table.to_pylist()]

    return found


def book(path: Path, *sheets: list[list[Any]], names: tuple[str, ...] = (), **also: Any) -> Path:
    """A workbook of these rows."""
    made = Workbook()
    made.remove(made.active)
    for i, cells in enumerate(sheets):
        sheet = made.create_sheet(names[i] if names else f"S{i + 1}")
        for row in cells:
            sheet.append(row)
        for merged in also.get("merged", ()):
            sheet.merge_cells(merged)
    made.save(path)
    return path


def test_each_kind_of_cell_as_text(plain: Any, tmp_path: Path) -> None:
    cells = [
        ("007", "007"),
        (7, "7"),
        (7.0, "7"),
        (-0.5, "-0.5"),
        (1e15, "1000000000000000"),
        (1.5e-7, "0.00000015"),
        (123456789.125, "123456789.125"),
        (True, "true"),
        (False, "false"),
        (dt.date(2024, 2, 29), "2024-02-29"),
        (dt.datetime(2024, 1, 1, 9, 30), "2024-01-01 09:30:00"),
        (dt.time(9, 30), "09:30:00"),
        (dt.timedelta(hours=30, minutes=5), "30:05:00"),
        ("#N/A", None),
        (" ", None),
        (" x ", " x "),
        ('a "b", c\nd', 'a "b", c\nd'),
    ]
    path = book(
        tmp_path / "a.xlsx", [["key", "value"], *([f"k{i}", c[0]] for i, c in enumerate(cells))]
    )
    assert [row["value"] for row in plain(path)] == [c[1] for c in cells]


def test_columns_of_one_type_as_text(plain: Any, tmp_path: Path) -> None:
    for values, shown in (
        ([1, 2, 3], ["1", "2", "3"]),
        ([1, 2.5, 3], ["1", "2.5", "3"]),
        ([1e15, 2e17], ["1000000000000000", "200000000000000000"]),
        (["01", None, "  "], ["01", None, None]),
        ([dt.date(1999, 12, 31), dt.date(2024, 2, 29)], ["1999-12-31", "2024-02-29"]),
    ):
        path = book(tmp_path / "a.xlsx", [["k", "v"], *(["x", v] for v in values)])
        assert [row["v"] for row in plain(path)] == shown


def test_header_under_banners_blank_rows_and_merged_cells(plain: Any, tmp_path: Path) -> None:
    cells = [
        ["Loans of the year", None, None],
        [],
        ["made", "by hand"],
        [],
        ["Branch\nname", "Loans", None, "Loans"],
        ["Nord", 1, "a", 2],
        [],
        ["Süd", 3, "b", 4],
    ]
    found = plain(book(tmp_path / "a.xlsx", cells, merged=["A1:D1"]))
    assert found == [
        {"Branch name": "Nord", "Loans": "1", "column_3": "a", "Loans_2": "2"},
        {"Branch name": "Süd", "Loans": "3", "column_3": "b", "Loans_2": "4"},
    ]


def test_header_of_texts_only_is_known_by_the_names_of_the_spec(plain: Any, tmp_path: Path) -> None:
    cells = [["a", "b", "c"], ["title", "person", "x"], ["Emma", "Austen", "y"]]
    path = book(tmp_path / "a.xlsx", cells)
    columns = {"title": "text", "author": {"type": "text", "from": "Person"}}
    assert plain(path, columns) == [{"title": "Emma", "person": "Austen", "x": "y"}]


def test_header_rows_are_joined_and_merged_ones_spread(plain: Any, tmp_path: Path) -> None:
    cells = [["Report"], ["Branch", 2024, None, 2025], [None, "in", "out", "in"], ["Nord", 1, 2, 3]]
    path = book(tmp_path / "a.xlsx", cells, merged=["A2:A3", "B2:C2"])
    wanted = [{"Branch": "Nord", "2024 in": "1", "2024 out": "2", "2025 in": "3"}]
    assert plain(path, header_rows=2) == wanted
    assert plain(path, header_rows=2, header_row=3) == wanted
    assert list(plain(path, header_row=3)[0]) == ["column_1", "in", "out", "in_2"]


def test_names_that_carrel_needs_are_given_to_no_column(plain: Any, tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [[FAULT, "A", "a", "a_2"], [1, 2, 3, 4]])
    assert list(plain(path)[0]) == [f"{FAULT}_2", "A", "a_2", "a_2_2"]


def test_sheets_that_match_are_joined_and_named(plain: Any, tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        [["x", "y"], [1, 2]],
        [["note", "z"], ["no", 0]],
        [["banner"], ["y", "x", "w"], [20, 10, 30]],
        [],
        names=("2023", "Notes", "2024", "2025"),
    )
    assert plain(path, sheet=r"\d+") == [
        {"x": "1", "y": "2", "w": None, "_sheet": "2023"},
        {"x": "10", "y": "20", "w": "30", "_sheet": "2024"},
    ]
    assert plain(path, sheet="Notes") == [{"note": "no", "z": "0"}]
    named = {"x": {"type": "text", "from": "_sheet"}}
    assert plain(path, named, sheet="2024")[0]["_sheet"] == "2024"


def test_the_first_sheet_with_rows_unless_a_later_one_has_the_columns(
    plain: Any, tmp_path: Path
) -> None:
    path = book(tmp_path / "a.xlsx", [], [["about", "this"], ["a", "b"]], [["id", "on"], [1, 2]])
    assert plain(path) == [{"about": "a", "this": "b"}]
    assert plain(path, {"id": "bigint", "on": "bigint"}) == [{"id": "1", "on": "2"}]


def test_a_hidden_sheet_is_not_the_first(plain: Any, tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["lists", "v"], ["a", 1]], [["id", "on"], [1, 2]])
    made = load_workbook(path)
    made["S1"].sheet_state = "hidden"
    made.save(path)
    assert plain(path) == [{"id": "1", "on": "2"}]
    assert plain(path, sheet="S1") == [{"lists": "a", "v": "1"}]


def test_footer_ends_the_data_and_blank_rows_at_the_end_are_none(
    make: Make, tmp_path: Path
) -> None:
    things = make(
        source=EXCEL | {"footer": "(?i)total|source:"}, columns={"id": "bigint", "n": "bigint"},
        key=["id"],
    )  # fmt: skip
    cells = [["id", "n"], [1, 5], [2, 6], [None, "Total", 11], ["Source: us"]]
    assert counts(load(things, book(tmp_path / "a.xlsx", cells))[0])[:2] == (2, 2)
    cells = [["id", "n"], [3, 5], [" "], [None, " "]]
    assert counts(load(things, book(tmp_path / "b.xlsx", cells))[0])[:2] == (1, 1)
    assert rows(things) == [(1, 5), (2, 6), (3, 5)]


def test_a_finding_names_the_row_of_the_sheet(make: Make, tmp_path: Path) -> None:
    things = make(source=EXCEL, columns={"id": "bigint", "on": "date"}, key=["id"])
    ok = [[i, dt.date(2024, 1, 1)] for i in range(1, 9000)]
    cells = [["List"], [], ["id", "on"], [], *ok, [], [], ["x", "2024-02-30"], [], ["y", None]]
    (loaded,) = load(things, book(tmp_path / "a.xlsx", cells))
    assert counts(loaded) == (9005, 8999, 0, 0, 0, 2, 4)
    assert [(f[1], f[3]) for f in findings(things)] == [
        (9006, "id"),
        (9006, "on"),
        (9008, "id"),
    ]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_blank_rows_keep_their_places_however_many_rows_are_read_at_once(
    at_once: int, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.sources.excel.ROWS", at_once)
    things = make(source=EXCEL, columns={"id": "bigint", "n": "bigint"}, key=["id"])
    cells = [["id", "n"], [], [], ["x"], [1], [], [], [], [], ["x"], ["x"], [2], [], ["x"], []]
    load(things, book(tmp_path / "a.xlsx", cells))
    assert [f[1] for f in findings(things)] == [4, 10, 11, 14]
    assert rows(things) == [(1, None), (2, None)]


def test_what_was_loaded_can_be_made_anew(make: Make, tmp_path: Path) -> None:
    things = make(source=EXCEL, columns={"id": "bigint", "word": "text"}, key=["id"])
    path = book(tmp_path / "a.xlsx", [["Title"], ["id", "word"], [1, "a\nb"], [], [2, "ü"]])
    load(things, path)
    kept = rows(things)
    assert kept == [(1, "a\nb"), (2, "ü")]
    assert load(things, path) == []
    assert rebuild(things) == 2
    assert rows(things) == kept
    assert (settings().home / "files" / ask("select sha256 from ops.files")[0][0]).exists()


def changed(path: Path, part: str, change: Callable[[bytes], bytes], to: Path) -> Path:
    """A copy of a workbook with one part changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return to


def test_dates_since_1904(plain: Any, tmp_path: Path) -> None:
    made = Workbook()
    made.epoch = dt.datetime(1904, 1, 1)
    made.active.append(["k", "on"])
    made.active.append(["a", dt.date(2024, 2, 29)])
    made.save(tmp_path / "a.xlsx")
    assert plain(tmp_path / "a.xlsx") == [{"k": "a", "on": "2024-02-29"}]


def test_a_million_blank_rows_with_formats_cost_no_memory(plain: Any, tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["id", "n"], [1, 2]])
    blank = b"".join(
        b'<row r="%d"><c r="A%d" s="1"/><c r="XFD%d" s="1"/></row>' % (i, i, i)
        for i in range(3, 1_048_577, 7)
    )
    part = "xl/worksheets/sheet1.xml"
    wide = changed(
        path,
        part,
        lambda x: x.replace(b"</sheetData>", blank + b"</sheetData>"),
        tmp_path / "b.xlsx",
    )
    assert plain(wide) == [{"id": "1", "n": "2"}]


def test_a_cell_far_off_is_refused_before_it_takes_the_memory(plain: Any, tmp_path: Path) -> None:
    made = Workbook()
    made.active.append(["id", "n"])
    made.active["XFD1048576"] = "x"
    made.save(tmp_path / "a.xlsx")
    with pytest.raises(SourceMalformed, match=r"a\.xlsx: .*XFD1048576.*Ctrl\+End"):
        plain(tmp_path / "a.xlsx")


def locked(path: Path) -> Path:
    """A workbook as Excel encrypts it: an old container with a part `EncryptedPackage`."""

    def entry(name: str, kind: int, child: int, right: int) -> bytes:
        text = name.encode("utf-16-le")
        numbers = [b"\xff\xff\xff\xff", right.to_bytes(4, "little"), child.to_bytes(4, "little")]
        head = text.ljust(64, b"\0") + (len(text) + 2).to_bytes(2, "little") + bytes([kind, 1])
        return (head + b"".join(numbers)).ljust(116, b"\0") + b"\xfe\xff\xff\xff" + bytes(8)

    none = 0xFFFFFFFF
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += b"\x3e\0\3\0\xfe\xff\x09\0\x06\0" + bytes(10)
    header += b"\x01\0\0\0\x01\0\0\0" + bytes(4) + b"\0\x10\0\0" + b"\xfe\xff\xff\xff" + bytes(4)
    header += b"\xfe\xff\xff\xff" + bytes(4) + bytes(4) + b"\xff" * 432
    fat = b"\xfd\xff\xff\xff\xfe\xff\xff\xff" + b"\xff" * 504
    folder = entry("Root Entry", 5, 1, none) + entry("EncryptedPackage", 2, none, none)
    path.write_bytes(header + fat + folder.ljust(512, b"\0"))
    return path


def test_what_cannot_be_read_is_said_with_a_remedy(plain: Any, tmp_path: Path) -> None:
    good = book(tmp_path / "good.xlsx", [["id"], [1]], [["n"]], names=("Jan", "Feb"))
    cut = good.read_bytes()[:-300]
    broken = changed(good, "xl/workbook.xml", lambda x: x[:-40], tmp_path / "w.xlsx").read_bytes()
    old = b"\xd0\xcf\x11\xe0" + bytes(2000)
    for name, content, said in (
        (
            "page.xls",
            b"\xef\xbb\xbf <html><table><tr><td>1</td></tr></table></html>",
            "HTML.*save it",
        ),
        ("old.xls", b'<?xml version="1.0"?><Workbook/>', "XML.*save it as .xlsx"),
        ("text.xls", b"id,n\n1,2\n", "plain text.*kind: csv"),
        ("wide.xls", "id\tn\n1\tä\n".encode("utf-16"), "plain text"),
        ("none.xlsx", b"", "is empty"),
        ("bytes.xlsx", bytes(range(256)), "no workbook"),
        ("cut.xlsx", cut, "damaged workbook"),
        ("broken.xlsx", broken, "damaged workbook"),
        ("old2.xls", old, "damaged workbook"),
        ("zip.xlsx", zipped(tmp_path / "z.zip"), "damaged workbook or none"),
        ("locked.xlsx", locked(tmp_path / "l").read_bytes(), "password.*without"),
        ("locked.xls", locked(tmp_path / "l").read_bytes(), "password.*without"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SourceMalformed, match=rf"(?s){name}: .*{said}"):
            plain(path)
    for source, said in (
        ({"sheet": "Mar"}, "'Mar'.*'Jan', 'Feb'.*source.sheet"),
        ({"sheet": "J"}, "'J'"),
        ({"sheet": "("}, "regular expression"),
        ({"footer": "("}, "regular expression"),
        ({"header_row": 9}, "no sheet holds rows from row 9"),
    ):
        with pytest.raises(SourceMalformed, match=rf"good.xlsx: .*{said}"):
            plain(good, **source)
    with pytest.raises(SourceMalformed, match=r"no sheet holds rows.*'S1'"):
        plain(book(tmp_path / "empty.xlsx", []))


@pytest.mark.shared
def test_a_damaged_old_workbook_ends_no_process(plain: Any, tmp_path: Path, real: Path) -> None:
    """The library may ask for more memory than there is, which ends the process that it is in."""
    content = bytearray((real / "dirty/readxl/sheets/utf8-sheet-names.xls").read_bytes())
    content[5027] = 205
    path = tmp_path / "a.xls"
    path.write_bytes(content)
    with pytest.raises(SourceMalformed, match=r"a\.xls: is a damaged workbook, or takes too much"):
        plain(path)


def zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    return path.read_bytes()


def test_the_ending_of_the_name_does_not_matter(plain: Any, tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["id", "n"], [1, 2]])
    for name in ("b.xls", "b.ods", "b.data"):
        (tmp_path / name).write_bytes(path.read_bytes())
        assert plain(tmp_path / name) == [{"id": "1", "n": "2"}]


def test_a_missing_column_is_named_with_the_row_of_the_header(make: Make, tmp_path: Path) -> None:
    things = make(source=EXCEL, columns={"id": "bigint", "word": "text"}, key=["id"])
    path = book(tmp_path / "a.xlsx", [["Title"], [], ["id", "wort"], [1, "a"]])
    with pytest.raises(SourceMalformed, match=r"a\.xlsx, line 3, column 'word'.*'wort'"):
        load(things, path)


@pytest.fixture
def real(shared: Path) -> Path:
    return shared


@pytest.mark.shared
def test_deaths_under_notes_and_above_a_footer(plain: Any, real: Path) -> None:
    path = real / "dirty/readxl/extdata/deaths.xlsx"
    found = plain(path, footer="Some$", sheet="arts|other")
    assert [r["_sheet"] for r in found] == ["arts"] * 10 + ["other"] * 14
    assert found[0] == {
        "Name": "David Bowie",
        "Profession": "musician",
        "Age": "69",
        "Has kids": "true",
        "Date of birth": "1947-01-08",
        "Date of death": "2016-01-10",
        "_sheet": "arts",
    }
    assert [r["Name"] for r in found[8:11]] == ["Zsa Zsa Gábor", "George Michael", "Vera Rubin"]
    assert plain(path.with_suffix(".xls"), footer="Some$", sheet="arts|other") == found


@pytest.mark.shared
def test_datasets_of_readxl(plain: Any, real: Path) -> None:
    path = real / "dirty/readxl/extdata/datasets.xlsx"
    cars, quakes = plain(path), plain(path, sheet="quakes")
    assert (len(cars), len(plain(path, sheet="chickwts")), len(quakes)) == (32, 71, 1000)
    assert sum(float(r["mpg"]) for r in cars) == pytest.approx(642.9)
    assert list(quakes[0].values()) == ["-20.42", "181.62", "562", "4.8", "41"]
    assert plain(path.with_suffix(".xls"), sheet="quakes") == quakes


NYC = {
    "neighborhood": "text",
    "block": "integer",
    "lot": "integer",
    "address": "text",
    "price": {"type": "numeric", "from": "SALE PRICE"},
    "sold_on": {"type": "date", "from": "SALE DATE"},
    "tax_class": {
        "type": "text",
        "from": "TAX CLASS AT PRESENT",
        "aliases": ["TAX CLASS AS OF FINAL ROLL 18/19"],
    },
}
SALES = (
    "2019_bronx.xlsx",
    "2019_statenisland.xlsx",
    "rollingsales_bronx.xlsx",
    "rollingsales_bronx_nov2019_oct2020.xls",
    "rollingsales_statenisland.xlsx",
)


@pytest.mark.shared
@pytest.mark.parametrize("name", SALES)
def test_new_york_sales_to_the_unit(name: str, make: Make, real: Path) -> None:
    figures = json.loads((real / "FIGURES.json").read_text())[f"prices/nyc_sales/{name}"]
    sales = make("sales", source=EXCEL, columns=NYC, key="content")
    (loaded,) = load(sales, real / "prices/nyc_sales" / name)
    count = figures["rows"]
    assert counts(loaded) == (count, count, 0, 0, 0, 0, 0)
    found = ask(
        "select count(*), sum(price), count(*) filter (where price = 0), min(sold_on)::text,"
        " max(sold_on)::text, count(distinct neighborhood) from silver.test_sales"
    )
    wanted = ("rows", "price_sum", "price_zero", "date_min", "date_max", "neighborhoods")
    assert found == [tuple(figures[n] for n in wanted)]


def workbooks() -> list[Path]:
    """Every real workbook, below the folder of real data."""
    data = settings().shared / "data"
    return sorted(p.relative_to(data) for p in data.rglob("*") if p.suffix in ENDINGS)


REFUSED = {
    "dirty/messytables/encrypted_no_password.xls": "password",
    "dirty/messytables/libreoffice.xlsx": "no sheet holds rows",
}
NO_OPENPYXL = (
    "nonstandard-xml-ns-prefix.xlsx",
    "no-styles-or-sharedStrings-parts.xlsx",
    "los-angeles-arrests-xlsx.xlsx",
)


def filled_cells(path: Path) -> dict[str, list[int]]:
    """How many cells each row of each sheet fills; of .xlsx as another library reads it."""
    content = path.read_bytes()
    if content[:2] != b"PK" or path.suffix == ".ods" or path.name in NO_OPENPYXL:
        with CalamineWorkbook.from_path(path) as calamine:
            sheets = {n: calamine.get_sheet_by_name(n) for n in calamine.sheet_names}
            return {
                n: [sum(bool(str(v).strip()) for v in row) for row in sheet.iter_rows()]
                for n, sheet in sheets.items()
            }
    with warnings.catch_warnings(action="ignore"):
        made = load_workbook(io.BytesIO(content), data_only=True)
    return {
        sheet.title: [
            sum(
                c.data_type != "e" and bool(str(c.value or c.value == 0 or "").strip()) for c in row
            )
            for row in sheet.iter_rows()
        ]
        for sheet in made.worksheets
    }


def loses_nothing(make: Make, name: str, path: Path) -> None:
    """Load each sheet of a workbook: what is filled below the header arrives in silver."""
    if said := REFUSED.get(str(path.relative_to((settings().shared / "data").resolve()))):
        with pytest.raises(SourceMalformed, match=said):
            load(make(name, source=EXCEL, columns={"a": "text"}, key="content"), path)
        return
    for number, (sheet, filled) in enumerate(filled_cells(path).items()):
        source = EXCEL | {"sheet": re.escape(sheet)}
        probe = make(f"{name}_{number}", source=source, columns={"a": "text"}, key="content")
        if not any(filled):
            with pytest.raises(SourceMalformed, match="no sheet holds rows"):
                load(probe, path)
            continue
        tables = list(read(probe, path))
        with opened(path) as workbook:
            head = head_of(workbook.sheet(sheet), probe.source, Wanted.of(probe))
        assert head
        cells = filled[head.row :]
        found = pa.concat_tables(t.replace_schema_metadata() for t in tables)
        kept = found.num_rows * found.num_columns - sum(c.null_count for c in found.columns)
        assert (found.num_rows, kept) == (sum(map(bool, cells)), sum(cells)), sheet
        columns = as_columns(found.column_names)
        silver = make(f"{name}_{number}s", source=source, columns=columns, key="content")
        (loaded,) = load(silver, path)
        assert (loaded.inserted, loaded.quarantined) == (found.num_rows, 0), sheet


def as_columns(headers: list[str]) -> dict[str, Any]:
    """Columns of text, as they are."""
    return {
        f"t{i}": {"type": "text", "from": header, "clean": [], "nulls": []}
        for i, header in enumerate(headers)
    }


@pytest.mark.shared
def test_some_real_workbooks_lose_nothing(make: Make, real: Path) -> None:
    chosen = random.Random(3).sample(workbooks(), 8)
    for i, path in enumerate([*chosen, *map(Path, REFUSED)]):
        loses_nothing(make, f"book_{i}", real / path)


@pytest.mark.full
@pytest.mark.shared
@pytest.mark.parametrize("path", workbooks(), ids=str)
def test_no_real_workbook_loses_anything(path: Path, make: Make, real: Path) -> None:
    loses_nothing(make, "book", real / path)


@pytest.mark.shared
def test_old_and_new_workbooks_with_the_same_cells_read_alike(plain: Any, real: Path) -> None:
    for new in sorted((real / "dirty/readxl").rglob("*.xlsx")):
        old = new.with_suffix(".xls")
        if old.exists() and new.stem not in ("type-me", "types"):
            assert plain(old) == plain(new), new
