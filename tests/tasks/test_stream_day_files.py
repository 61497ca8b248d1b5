"""Day files of Online Retail as messages: each cell as it is written, each fault with its line."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tasks.stream import day_files
from tasks.stream.day_files import HEADER, replayed
from tasks.stream.sales import partition_of
from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.streams import Stream, stream

ODD = ("plain", "", 'six "12"', "a\\b\\u0041", "new\nline", "Ä ß €", "\t", "'x'", "{},:", "\u2028")


@pytest.fixture(scope="module")
def sales() -> Stream:
    return stream("retail_sales")


def write(path: Path, *rows: tuple[object, ...], header: tuple[str, ...] = HEADER) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def row(**changes: object) -> tuple[object, ...]:
    facts = dict(zip(HEADER, ("536365", "85123A", "HOLDER", "6", "2010-12-01 08:26:00", "2.55",
                              "17850.0", "France"), strict=True)) | changes  # fmt: skip
    return tuple(facts.values())


def test_every_cell_comes_as_it_is_written(sales: Stream, tmp_path: Path) -> None:
    path = write(tmp_path / "2010-12-01.csv", *(
        row(Description=text, InvoiceNo=f"C{n}", StockCode=text, Country=text)
        for n, text in enumerate(ODD)
    ))  # fmt: skip
    sent = list(replayed(sales, path, producer="o'b"))
    for n, (text, one) in enumerate(zip(ODD, sent, strict=True)):
        assert json.loads(one.line) == {
            "event_id": f"2010-12-01-{n + 1}", "sold_at": "2010-12-01T08:26:00+00:00",
            "invoice": f"C{n}", "stock_code": text, "description": text or None, "quantity": 6,
            "country": text, "producer": "o'b", "customer_id": "17850", "unit_price": 2.55,
        }  # fmt: skip
        assert one.partition == partition_of(sales, f"C{n}")
        assert one.at == datetime(2010, 12, 1, 8, 26, tzinfo=ZoneInfo(sales.timezone))
        assert b"\n" not in one.line


def test_prices_and_people_are_not_touched(sales: Stream, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", row(UnitPrice="-11062.060", CustomerID=""),
                 row(UnitPrice="0", Quantity="-80995", CustomerID="12.0.0"))  # fmt: skip
    first, second = (one.line.decode() for one in replayed(sales, path))
    assert first.endswith(',"customer_id":null,"unit_price":-11062.060}')
    assert '"quantity":-80995,' in second
    assert second.endswith(',"customer_id":"12.0","unit_price":0}')


def test_files_follow_each_other_however_they_fall_into_pieces(
    sales: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, count in (("b", 5), ("a", 3), ("c", 0), ("d", 1)):
        write(tmp_path / f"{name}.csv", *(row(Quantity=n) for n in range(count)))
    names = [f"{name}-{n}" for name, count in (("a", 3), ("b", 5), ("d", 1))
             for n in range(1, count + 1)]  # fmt: skip
    for together, block in ((1, 4 << 20), (4, 150), (100, 150)):
        monkeypatch.setattr(day_files, "TOGETHER", together)
        monkeypatch.setattr(day_files, "BLOCK", block)
        assert [json.loads(s.line)["event_id"] for s in replayed(sales, tmp_path)] == names


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("Quantity", "many", "number"),
        ("Quantity", "", "number"),
        ("Quantity", "1.5", "number"),
        ("Quantity", "9" * 30, "number"),
        ("UnitPrice", "1e5", "number"),
        ("UnitPrice", "", "number"),
        ("InvoiceDate", "yesterday", "time"),
        ("InvoiceDate", "", "time"),
    ],
)
def test_a_fault_is_told_by_line_and_column(
    sales: Stream, tmp_path: Path, column: str, value: str, what: str
) -> None:
    write(tmp_path / "a.csv", row())
    path = write(tmp_path / "b.csv", row(), row(**{column: value}), row())
    with pytest.raises(SourceMalformed) as fault:
        list(replayed(sales, tmp_path))
    said = str(fault.value)
    assert str(path) in said
    assert f"line 3, column {column!r}: {value!r} is no {what}" in said


@pytest.mark.parametrize("text", [b"", b"a,b\n1,2\n", b"\xff\xfe\n", b"x\n"])
def test_another_file_is_refused(sales: Stream, tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(SourceMalformed, match=r"a\.csv"):
        list(replayed(sales, path))


def test_a_broken_row_and_a_missing_file_are_told(sales: Stream, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", row())
    path.write_text(path.read_text() + "1,2,3\n")
    with pytest.raises(SourceMalformed, match=r"a\.csv.*cannot be read"):
        list(replayed(sales, path))
    with pytest.raises(SourceUnavailable):
        list(replayed(sales, tmp_path / "none"))
