"""Tables as CSV and Excel: typed, and safe to open in a spreadsheet (`warehouse.sheets`)."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from bi_app.models.table import Table
from warehouse.sheets import in_xml, safe_text

FORMATS = {
    "integer": "#,##0",
    "number": "#,##0.0##",
    "exact": "#,##0.0#####",
    "money": "#,##0.00",
    "ratio": "#,##0.00",
    "date": "yyyy-mm-dd",
    "datetime": "yyyy-mm-dd hh:mm",
}


def file_name(table: Table, kind: str, *, today: dt.date) -> str:
    """A plain file name: letters, digits, dash and underscore."""
    plain = re.sub(r"[^a-z0-9]+", "-", table.name.lower()).strip("-") or "table"
    return f"carrel-{plain}-{today:%Y-%m-%d}.{kind}"


def to_csv(table: Table) -> bytes:
    """UTF-8 with a byte order mark (so that Excel reads it), comma, CRLF, ISO dates."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([safe_text(c.title) for c in table.columns])
    writer.writerows([_plain(v) for v in record] for record in shown(table))
    return text.getvalue().encode("utf-8-sig")


def words(value: Any) -> Any:
    """A badge's words, without its look."""
    return str(value).partition("|")[2]


def shown(table: Table) -> list[tuple[Any, ...]]:
    """The rows as they are written."""
    badges = [c.kind == "badge" for c in table.columns]
    return [
        tuple(words(v) if badge else v for v, badge in zip(record, badges, strict=True))
        for record in table.records()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return value.isoformat() if isinstance(value, dt.date) else safe_text(value)


def to_xlsx(table: Table) -> bytes:
    """A workbook with the table and, on a second sheet, what it is."""
    return to_book([table])


def to_book(tables: Sequence[Table], about: Sequence[str] = ()) -> bytes:
    """A workbook with a sheet for each table and, on a last one, what they are."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for table in tables:
        _fill(book, table)
    notes = book.create_sheet("About")
    for note in about:
        notes.append([_cell_value(note)])
    for table in tables:
        for note in (table.title, *table.notes):
            notes.append([_cell_value(note)])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _fill(book: Any, table: Table) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(re.sub(r"[\\/*?:\[\]]", " ", table.title)[:31])
    sheet.freeze_panes = "A2"
    for place, column in enumerate(table.columns, start=1):
        width = 34 if column.kind == "text" else 16
        sheet.column_dimensions[get_column_letter(place)].width = width

    def cell(value: Any, look: str | None = None) -> Any:
        made = WriteOnlyCell(sheet, value=_cell_value(value))
        if isinstance(value, str):
            made.data_type = "s"
        if look:
            made.number_format = look
        return made

    heads = [cell(c.title) for c in table.columns]
    for head in heads:
        head.font = Font(bold=True)
    sheet.append(heads)
    looks = [FORMATS.get(c.kind) for c in table.columns]
    for record in shown(table):
        sheet.append([cell(v, look) for v, look in zip(record, looks, strict=True)])


def _cell_value(value: Any) -> Any:
    """Excel knows no time zones, and XML no control characters."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, str):
        return in_xml(safe_text(value))
    return value


WRITERS: dict[str, tuple[str, Callable[[Table], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", to_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", to_xlsx),
}
