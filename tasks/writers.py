"""Write rows to a file of one format, a row at a time, in flat memory.

What each format cannot tell of a row:

csv      nothing from an empty text in a table of one column (elsewhere `,,` is nothing and `""` is
         an empty text; most readers take both alike); types
xlsx     nothing from an empty text; the 17th digit of a double; a numeric or integer of more than
         15 digits, NaN, infinity, a moment with parts of a second or a time zone, and what is
         earlier than 1900-03-01 or later than 9999 are texts
json     NaN and infinity, dates and moments are texts
jsonl    as json
parquet  all is told; a numeric of more than 76 digits, and columns that hold an infinite date or
         numeric or a NaN numeric, are texts

A text that a spreadsheet would run is marked in csv and xlsx; `warehouse.sheets.plain_text` takes
the mark back.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from warehouse.errors import ConfigurationError
from warehouse.sheets import (
    LONGEST_CELL,
    MOST_COLUMNS,
    MOST_ROWS,
    in_xml,
    safe_text,
    utf16_length,
)

Row = tuple[Any, ...]
TEXTS = ("text", "json")
NUMBERS = ("integer", "bigint", "numeric", "real", "double")
SPECIAL = ("NaN", "Infinity", "-Infinity")
QUOTED = re.compile('[",\r\n]|^$')
FIRST_DAY = dt.date(1900, 3, 1)  # before it Excel counts a day that never was
ROWS, CHARACTERS = 65_536, 32 << 20  # of a Parquet row group


@dataclass(frozen=True)
class Field:
    """A column: its name, its type as a spec names types, what it means; digits of a numeric.

    Types besides a spec's: real, timestamptz, json. `digits` is (all, decimals).
    """

    name: str
    type: str = "text"
    meaning: str = ""
    digits: tuple[int, int] | None = None


Writer = Callable[[Path, Sequence[Field], Iterator[Row]], int]


def to_csv(path: Path, fields: Sequence[Field], rows: Iterator[Row]) -> int:
    """RFC 4180 in UTF-8 with a byte order mark (so that Excel reads it); return the rows."""
    return _csv(path, fields, rows, "utf-8-sig")


def to_plain_csv(path: Path, fields: Sequence[Field], rows: Iterator[Row]) -> int:
    """The same without the mark, for programs."""
    return _csv(path, fields, rows, "utf-8")


def _csv(path: Path, fields: Sequence[Field], rows: Iterator[Row], encoding: str) -> int:
    texts = [f.type in TEXTS for f in fields]
    nothing = '""' if len(fields) == 1 else ""  # a blank line would be no row
    count = 0

    def cell(value: str | None, text: bool) -> str:
        if value is None:
            return nothing
        shown: str = safe_text(value) if text else value
        return '"' + shown.replace('"', '""') + '"' if QUOTED.search(shown) else shown

    with path.open("w", encoding=encoding, newline="") as file:
        file.write(",".join(cell(f.name, True) for f in fields) + "\r\n")
        for row in rows:
            file.write(",".join(map(cell, row, texts)) + "\r\n")
            count += 1
    return count


def to_jsonl(path: Path, fields: Sequence[Field], rows: Iterator[Row]) -> int:
    """An object a line, numbers with every digit; return the rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        count = _objects(file, fields, rows, "", "\n")
        file.write("\n" if count else "")
    return count


def to_json(path: Path, fields: Sequence[Field], rows: Iterator[Row]) -> int:
    """An array of objects, one a line; return the rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        count = _objects(file, fields, rows, "[\n", ",\n")
        file.write("\n]\n" if count else "[]\n")
    return count


def _objects(
    file: IO[str], fields: Sequence[Field], rows: Iterator[Row], start: str, between: str
) -> int:
    """Write the rows as objects; return how many."""
    count = 0
    names = [json.dumps(f.name, ensure_ascii=False) + ": " for f in fields]
    ways = [json_value(f.type) for f in fields]
    for row in rows:
        cells = zip(names, ways, row, strict=True)
        parts = [n + ("null" if v is None else way(v)) for n, way, v in cells]
        file.write((between if count else start) + "{" + ", ".join(parts) + "}")
        count += 1
    return count


def json_value(kind: str) -> Callable[[str], str]:
    """How a value that PostgreSQL wrote as text stands in JSON."""
    if kind in NUMBERS:
        return lambda v: f'"{v}"' if v in SPECIAL else v
    if kind in ("boolean", "json"):
        return str
    if kind.startswith("timestamp"):
        return lambda v: json.dumps(v.replace(" ", "T", 1))
    return lambda v: json.dumps(v, ensure_ascii=False)


def to_xlsx(path: Path, fields: Sequence[Field], rows: Iterator[Row]) -> int:
    """A workbook; what does not fit one sheet goes on in another. Return the rows.

    Raises:
        ConfigurationError: a text or the table is too wide for Excel.
    """
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    if len(fields) > MOST_COLUMNS:
        raise ConfigurationError(
            f"Excel holds {MOST_COLUMNS} columns; these are {len(fields)}.", remedy=OTHER
        )
    book = Workbook(write_only=True)
    ways = [_excel_value(f.type) for f in fields]
    sheet, count = _sheet(book), 0

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        made = WriteOnlyCell(sheet, value=value)
        made.data_type = "s"  # else =… would be a formula and #N/A an error
        return made

    try:
        heads = [in_xml(safe_text(f.name)) for f in fields]
        sheet.append([cell(head) for head in heads])
        for row in rows:
            if count and count % (MOST_ROWS - 1) == 0:
                sheet = _sheet(book)
                sheet.append([cell(head) for head in heads])
            count += 1
            values = [v if v is None else way(v) for way, v in zip(ways, row, strict=True)]
            _check_lengths(values, fields, count)
            sheet.append([cell(v) for v in values])
    except BaseException:
        sheet.close()  # else its end is written when it is collected, to a file that is gone
        raise
    book.save(path)
    return count


OTHER = "Export to .csv, .jsonl or .parquet."


def _sheet(book: Any) -> Any:
    """A further sheet."""
    number = len(book.worksheets) + 1
    sheet = book.create_sheet("Data" if number == 1 else f"Data {number}")
    sheet.freeze_panes = "A2"
    return sheet


def _check_lengths(values: list[Any], fields: Sequence[Field], row: int) -> None:
    for value, field in zip(values, fields, strict=True):
        long = isinstance(value, str) and len(value) * 2 > LONGEST_CELL
        if long and utf16_length(value) > LONGEST_CELL:
            raise ConfigurationError(
                f"Row {row}, column {field.name!r}: the text has {utf16_length(value)} characters;"
                f" a cell of Excel's holds {LONGEST_CELL}.",
                remedy=OTHER,
            )


def _excel_value(kind: str) -> Callable[[str], Any]:
    """How a value that PostgreSQL wrote as text stands in a sheet; as text where it must."""
    if kind in NUMBERS:
        return _float if kind in ("real", "double") else _number
    if kind == "boolean":
        return lambda v: v == "true"
    if kind in ("date", "timestamp"):
        return _day if kind == "date" else _moment
    return lambda v: in_xml(safe_text(v))


def _float(value: str) -> Any:
    return value if value in SPECIAL else float(value)


def _number(value: str) -> Any:
    if value in SPECIAL:
        return value
    number = Decimal(value)
    exact = len(number.as_tuple().digits) <= 15 and -300 < number.adjusted() < 300
    return number if exact else value


def _day(value: str) -> Any:
    try:
        day = dt.date.fromisoformat(value)
    except ValueError:
        return value
    return day if day >= FIRST_DAY else value


def _moment(value: str) -> Any:
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return value
    return moment if moment.date() >= FIRST_DAY and not moment.microsecond else value


def to_parquet(path: Path, fields: Sequence[Field], rows: Iterator[Row]) -> int:
    """Parquet with the columns' own types; rows hold Python values, days and microseconds.

    Returns the rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [pa.field(f.name, arrow_type(f), metadata={"meaning": f.meaning}) for f in fields]
    )
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(fields, rows):
            columns = [_array(f, v) for f, v in zip(fields, zip(*group, strict=True), strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(group)
    return count


def _groups(fields: Sequence[Field], rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows in lists of bounded length and size."""
    wide = [i for i, f in enumerate(fields) if f.type in TEXTS]
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(row[i]) for i in wide if row[i] is not None)
        if len(group) == ROWS or size > CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


def arrow_type(field: Field) -> Any:
    """The Arrow type of a column."""
    import pyarrow as pa

    if field.type == "numeric":
        assert field.digits
        digits, decimals = field.digits
        return (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, decimals)
    return {
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "real": pa.float32(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", "UTC"),
    }.get(field.type, pa.string())


def _array(field: Field, values: Sequence[Any]) -> Any:
    import pyarrow as pa

    kind = arrow_type(field)
    if field.type == "date":
        return pa.array(values, pa.int32()).view(kind)
    if field.type.startswith("timestamp"):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


WRITERS: dict[str, Writer] = {
    ".csv": to_csv,
    ".xlsx": to_xlsx,
    ".json": to_json,
    ".jsonl": to_jsonl,
    ".parquet": to_parquet,
}
