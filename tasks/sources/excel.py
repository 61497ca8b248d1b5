"""Read workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods) as tables of text.

A date is `YYYY-MM-DD`, with a time `YYYY-MM-DD HH:MM:SS`; a whole number has no decimals; a cell
that is blank or holds an error such as #N/A is null. Blank rows between rows stay blank lines in
the text, so that a finding's line is the row of the sheet, unless a cell above it holds a line
break or several sheets are read.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import numbers, texts
from tasks.dialect import fold
from tasks.sources import BLANK_LINES, FAULT
from tasks.sources.workbook import Workbook, opened
from warehouse.errors import SourceMalformed
from warehouse.sources import ExcelSource
from warehouse.spec import Dataset

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

ROWS = 8_192
LOOKED_AT = 200
SHEET = "_sheet"
SHOWN = 8  # sheets that a note lists
NO_HEADER = "No row names the columns, so they are named by place (c1, c2, …)."
HIGHEST_ALIGNED = 10_000  # a header further down is not worth that many blank lines
NOTHING = texts([""])[0]
Texts = Sequence[str | None]


@dataclass(frozen=True)
class Head:
    """A sheet's columns: name and position (from 0) of each, and how many rows are above the data.

    `headless`: the columns are named by place, as no row names them.
    """

    row: int
    columns: dict[str, int]
    headless: bool = False


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """The rows of the sheets that the spec names.

    Where several sheets match, or the spec asks for it, the column `_sheet` names each row's.

    Raises:
        SourceMalformed: it is no workbook, is locked, or no sheet matches or holds rows.
    """
    assert path
    assert isinstance(dataset.source, ExcelSource)
    wanted, footer = Wanted.of(dataset), dataset.source.footer
    ends = _compiled(path, footer) if footer else None
    with opened(path) as book:
        heads = _heads(book, dataset.source, wanted)
        names = list(dict.fromkeys(name for head in heads.values() for name in head.columns))
        told = len(heads) > 1 or SHEET in wanted.names
        first = next(iter(heads.values())).row
        ahead = max(0, first - 1) if first <= HIGHEST_ALIGNED else 0
        yield _table([], names + [SHEET] * told, ahead)
        for sheet_name, head in heads.items():
            sheet, before = book.sheet(sheet_name), 0
            for rows in _parts(sheet, head, ends):
                for columns, blank in _runs(rows, before):
                    listed = dict(zip(head.columns, columns, strict=True))
                    count = len(columns[0])
                    arrays = [listed.get(n, pa.nulls(count, pa.string())) for n in names]
                    label = [texts([sheet_name] * count)] * told
                    yield _table(arrays + label, names + [SHEET] * told, blank)
                before = _blank_at_end(rows, before)


def look(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a spec of the workbook must say, and what of it is not read, in a sentence each.

    Raises:
        SourceMalformed: as `read`.
    """
    source, wanted = ExcelSource(kind="excel", path="*"), Wanted(frozenset(), ())
    with opened(path) as book:
        ((name, head),) = _heads(book, source, wanted).items()
        options = {"header": False} if head.headless else {}
        notes = list(_unread(book.sheet(name), head))
        others = [n for n in book.names() if n != name and book.sheet(n).start]
    if others:
        listed = ", ".join(map(repr, others[:SHOWN])) + (", …" if others[SHOWN:] else "")
        notes.append(
            f"Only the sheet {name!r} is read; not {listed}. `sheet:` in the spec names others."
        )
    return options, tuple(notes)


def _unread(sheet: CalamineSheet, head: Head) -> Iterator[str]:
    """What stands above the table, and whether there is a header."""
    header = 0 if head.headless else 1
    above = list(islice(sheet.iter_rows(), head.row - header))
    if filled := [
        i for i, row in enumerate(above, 1) if any(cell is not None for cell in _texts(row))
    ]:
        rows = f"Row {filled[0]} stands" if len(filled) == 1 else f"{len(filled)} rows stand"
        yield f"{rows} above the table (up to row {filled[-1]}): not read."
    if head.headless:
        yield NO_HEADER


def _table(arrays: list[pa.Array], names: list[str], blank: int) -> pa.Table:
    filled = arrays or [texts([])] * len(names)
    return pa.table(filled, names).replace_schema_metadata({BLANK_LINES: str(blank)})


@dataclass(frozen=True)
class Wanted:
    """What the spec expects of a header: all names, and the required columns' alternatives."""

    names: frozenset[str]
    required: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, dataset: Dataset) -> Wanted:
        """The dataset's."""
        unpivot = dataset.source.unpivot
        made = {fold(unpivot.name), fold(unpivot.value)} if unpivot else set()
        names: set[str] = set()
        required = []
        for column in dataset.columns:
            known = frozenset(map(fold, (column.header, *column.aliases)))
            names |= known - made
            if not column.optional and not known & (made | {SHEET}):
                required.append(known)
        return cls(frozenset(names), tuple(required))

    def met_by(self, header: Iterable[str | None]) -> int:
        """How many of the required columns the header names."""
        held = {fold(name) for name in header if name}
        return sum(bool(known & held) for known in self.required)


def _heads(book: Workbook, source: ExcelSource, wanted: Wanted) -> dict[str, Head]:
    """The sheets to read, in order, with their headers.

    Stated: every sheet whose name matches. Else the first one that has all required columns,
    else the first one that holds rows; hidden ones last.
    """
    pattern = _compiled(book.path, source.sheet) if source.sheet is not None else None
    found: dict[str, Head] = {}
    for name in book.names(hidden_last=pattern is None):
        if pattern and not pattern.fullmatch(name):
            continue
        if not (head := head_of(book.sheet(name), source, wanted)):
            continue
        if not pattern and wanted.met_by(head.columns) == len(wanted.required):
            return {name: head}
        found[name] = head
    if found:
        return found if pattern else dict([next(iter(found.items()))])
    listed = ", ".join(map(repr, book.names())) or "none"
    below = f" from row {source.header_row} on" if source.header_row else ""
    if pattern and not any(map(pattern.fullmatch, book.names())):
        message, remedy = f"no sheet's name matches {source.sheet!r}.", "Change source.sheet."
    else:
        message, remedy = f"no sheet holds rows{below}.", "Put a header line and rows in."
    raise SourceMalformed(book.path, f"{message} Its sheets: {listed}.", remedy=remedy)


def _compiled(path: Path, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise SourceMalformed(
            path, f"{pattern!r} is no regular expression: {error}.", remedy="Correct the spec."
        ) from None


def head_of(sheet: CalamineSheet, source: ExcelSource, wanted: Wanted) -> Head | None:
    """Find the header and name the columns; None where the sheet holds nothing from there on."""
    if not sheet.start or not sheet.end:
        return None
    if source.header_row:
        last = source.header_row - 1
    else:
        first = sheet.start[0]
        values = list(islice(sheet.iter_rows(), first, first + LOOKED_AT))
        last = first + header_at(values, source.header_rows, wanted)
    if last > sheet.end[0]:
        return None
    if _is_headless(sheet, last, source, wanted):
        places = sorted(_filled(sheet, last, set(range(sheet.width))))
        return Head(last, {f"c{i + 1}": i for i in places}, headless=True) if places else None
    lines = _header_lines(sheet, max(0, last + 1 - source.header_rows), last)
    joined = [_joined(parts) for parts in zip(*lines, strict=True)]
    unnamed = {i for i, name in enumerate(joined) if not name}
    used = _filled(sheet, last + 1, unnamed)
    kept = {i: name or f"column_{i + 1}" for i, name in enumerate(joined) if name or i in used}
    return Head(last + 1, dict(zip(_unlike(kept.values()), kept, strict=True))) if kept else None


def _is_headless(sheet: CalamineSheet, row: int, source: ExcelSource, wanted: Wanted) -> bool:
    """Whether the spec says that there is no header, or no spec is there and no text in the row."""
    if source.header is not None or wanted.names or source.header_row:
        return source.header is False
    cells = next(islice(sheet.iter_rows(), row, None))
    return not any(isinstance(cell, str) and cell.strip() for cell in cells)


def _joined(parts: Iterable[str | None]) -> str:
    """The header lines of one column; what a line repeats counts once."""
    return " ".join(dict.fromkeys(part for part in parts if part))


def header_at(values: Sequence[Sequence[Any]], lines: int, wanted: Wanted) -> int:
    """Which of a sheet's first rows is the (last) header line.

    The one that names most of the spec's columns, if it names half of them. Else, above the first
    row that is about as wide as usual and holds other than text, the one with the most texts, if
    it is half as wide as usual; else the first row that is about as wide as usual.
    """
    rows = [_texts(row) for row in values]
    tops = (rows[max(0, i + 1 - lines) : i + 1] for i in range(len(rows)))
    met = [wanted.met_by(map(_joined, zip(*top, strict=True))) for top in tops]
    if max(met) and 2 * max(met) >= len(wanted.required):
        return met.index(max(met))
    filled = [sum(cell is not None for cell in row) for row in rows]
    usual = max(set(filled) - {0}, key=lambda n: (filled.count(n), n))
    wide = [i for i, n in enumerate(filled) if 4 * n >= 3 * usual]
    typed = next((i for i in wide if not all(isinstance(v, str) for v in values[i])), None)
    above = [i for i in range(typed or 0) if 2 * filled[i] >= usual]
    if not above:
        return min(wide[0] + lines - 1, len(rows) - 1)
    return above[-1] if lines > 1 else max(above, key=lambda i: (filled[i], -i))


def _header_lines(sheet: CalamineSheet, first: int, last: int) -> list[list[str | None]]:
    """The header's lines as text; above the last, a merged cell counts for each column it covers.

    Where the format does not tell what is merged, those lines are filled to the right.
    """
    rows = islice(sheet.iter_rows(), first, last + 1)
    lines = [[cell and " ".join(cell.split()) for cell in _texts(row)] for row in rows]
    merged = sheet.merged_cell_ranges
    for line in lines[:-1] if merged is None else []:
        for i in range(1, len(line)):
            line[i] = line[i] or line[i - 1]
    for (top, left), (_, right) in merged or []:
        if first <= top < last:
            line = lines[top - first]
            line[left : right + 1] = [line[left]] * len(line[left : right + 1])
    return lines


def _filled(sheet: CalamineSheet, first: int, columns: set[int]) -> set[int]:
    """Which of the columns hold something from a row on."""
    found: set[int] = set()
    if columns:
        for row in islice(sheet.iter_rows(), first, None):
            found |= {i for i in columns - found if row[i] != ""}
            if found == columns:
                break
    return found


def _unlike(names: Iterable[str]) -> list[str]:
    """The names, each made unlike the ones before it: `name_2`."""
    found: list[str] = []
    taken = {SHEET, FAULT}
    for name in names:
        unlike, count = name, 1
        while fold(unlike) in taken:
            count += 1
            unlike = f"{name}_{count}"
        taken.add(fold(unlike))
        found.append(unlike)
    return found


def _parts(
    sheet: CalamineSheet, head: Head, ends: re.Pattern[str] | None
) -> Iterator[list[pa.Array]]:
    """The columns below the header, some thousand rows at a time, up to the footer."""
    rows = islice(sheet.iter_rows(), head.row, None)
    while part := list(islice(rows, ROWS)):
        cells = list(zip(*part, strict=True))
        columns = [_column(cells[i]) for i in head.columns.values()]
        if ends:
            firsts = pc.coalesce(*columns).to_pylist()
            at = next((i for i, cell in enumerate(firsts) if cell and ends.match(cell)), None)
            if at is not None:
                yield [column.slice(0, at) for column in columns]
                return
        yield columns


def _runs(columns: list[pa.Array], before: int) -> Iterator[tuple[list[pa.Array], int]]:
    """The rows between blank rows, with how many blank ones are ahead of them."""
    blank = [*pc.coalesce(*columns).is_null().to_pylist(), True]
    start = -before
    at = 0
    while at < len(blank) - 1:
        if blank[at]:
            at += 1
            continue
        end = blank.index(True, at)
        yield [column.slice(at, end - at) for column in columns], at - start
        start = at = end


def _blank_at_end(columns: list[pa.Array], before: int) -> int:
    """How many blank rows are at the end, those before counted where all are blank."""
    blank = pc.coalesce(*columns).is_null().to_pylist()
    filled = next((i for i, none in enumerate(reversed(blank)) if not none), None)
    return len(blank) + before if filled is None else filled


def _column(values: Sequence[Any]) -> pa.Array:
    """Cells of one column as text, by way of Arrow where all are alike."""
    kinds = set(map(type, values))
    if kinds == {str}:
        cells = pc.replace_substring(texts(values), "\0", "")
    elif kinds == {float} and all(map(float.is_integer, values)) and max(map(abs, values)) < 1e15:
        return numbers(np.array(values, np.int64)).cast(pa.string())
    elif kinds == {dt.date}:
        return texts([value.isoformat() for value in values])
    else:
        cells = texts(_texts(values))
    blank = pc.equal(pc.utf8_trim_whitespace(cells), NOTHING)
    return pc.if_else(blank, pa.NA, cells)


def _texts(values: Sequence[Any]) -> list[str | None]:
    return [TEXT.get(type(value), str)(value) for value in values]


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < 1e18:
        return str(int(value))
    shown = repr(value)
    return f"{Decimal(shown):f}" if "e" in shown else shown


def _span(value: dt.timedelta) -> str:
    """A length of time as hours, minutes, seconds."""
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


TEXT: dict[type, Any] = {
    str: lambda value: value.replace("\0", "") if value.strip() else None,
    float: _number,
    bool: lambda value: "true" if value else "false",
    dt.date: dt.date.isoformat,
    dt.datetime: lambda value: value.isoformat(" "),
    dt.time: dt.time.isoformat,
    dt.timedelta: _span,
}
