"""Read back an export of quarantine that a person may have edited in a spreadsheet.

Delimiter, encoding, byte order mark, line ends and the order of rows and columns may have changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.arrays import numbers
from tasks.dialect import fold
from tasks.extract import Lines, looked_at
from tasks.quarantine import MORE, OWN, Source, shown, texts
from tasks.records import MARKED, Spans, batches, broken_shown
from warehouse.errors import SourceMalformed
from warehouse.sheets import plain_text
from warehouse.sources import CsvSource
from warehouse.spec import Column, Dataset

NUMBER = re.compile(r"\s*([0-9]{1,18})(?:[.,]0+)?\s*")  # 12, 12.0
ENDS = re.compile(r"\r\n?")
REMEDY = "Start from a fresh export, and edit cells only."


@dataclass(frozen=True)
class Edited:
    """The rows of an edited export, in order of load and line. `at` is a row's line in the file.

    `columns` are the positions of the exported columns, by folded name and how-manieth of it.
    """

    path: Path
    columns: dict[tuple[str, int], int]
    cells: pa.Table
    loads: Lines
    lines: Lines
    at: Lines

    def of(self, load: int) -> slice:
        """Where the rows of a load are."""
        low, high = np.searchsorted(self.loads, [load, load + 1])
        return slice(int(low), int(high))

    def wrong(self, row: int, message: str, column: str | None = None) -> SourceMalformed:
        """An error that names a row."""
        place = f"load {self.loads[row]}, line {self.lines[row]}: {message}"
        return SourceMalformed(
            self.path, place, line=int(self.at[row]), column=column, remedy=REMEDY
        )


def read_edited(dataset: Dataset, path: Path) -> Edited:
    """Read an edited export.

    Raises:
        SourceUnavailable: there is no such file.
        SourceMalformed: it is no export of quarantine, or a row of it is broken.
    """
    own = [Column(name=n[1:], type="text", meaning=n, **{"from": n}) for n in OWN]
    plain = {"source": CsvSource(path=path.name), "columns": tuple(own)}
    arrival = looked_at(dataset.model_copy(update=plain), path)
    header = [plain_text(name) for name in arrival.dialect.header]
    columns = _columns(path, header)
    tables, at = [], []
    for batch in batches(arrival, CsvSource(path=path.name), list(range(len(header)))):
        for finding in batch.findings:
            raise SourceMalformed(
                path, "cannot be read as a row of the export.", line=finding.line_no, remedy=REMEDY
            )
        tables.append(batch.cells)
        at.append(batch.line_no)
    cells = pa.concat_tables(tables) if tables else pa.table([], [])
    return _in_order(path, columns, cells, np.concatenate(at) if at else np.empty(0, np.int64))


def _columns(path: Path, header: list[str]) -> dict[tuple[str, int], int]:
    names = [fold(name) for name in header]
    if tuple(names[: len(OWN)]) != OWN or MORE not in names:
        raise SourceMalformed(
            path,
            f"is no export of quarantine: it starts with {', '.join(header[:6])!r}.",
            remedy=f"Its first columns are {', '.join(OWN)}, its last {MORE}.",
        )
    last = len(names) - 1 - names[::-1].index(MORE)
    rest = [(i, n) for i, n in enumerate(names) if i >= len(OWN) and i != last]
    found = {(n, [m for _, m in rest[:k]].count(n)): i for k, (i, n) in enumerate(rest)}
    return found | {(MORE, -1): last}


def _in_order(
    path: Path, columns: dict[tuple[str, int], int], cells: pa.Table, at: Lines
) -> Edited:
    """The rows sorted, blank ones left out."""
    if not len(at):
        raise SourceMalformed(path, "holds no row.")
    filled = np.array([any(row) for row in _rows(cells, range(cells.num_columns))], np.bool_)
    cells, at = cells.take(numbers(np.flatnonzero(filled))), at[filled]
    loads, lines = (_numbers(path, cells, at, i) for i in (0, 1))
    order = np.lexsort((at, lines, loads))
    found = Edited(path, columns, cells.take(numbers(order)), loads[order], lines[order], at[order])
    again = (np.diff(found.loads) == 0) & (np.diff(found.lines) == 0)
    for row in np.flatnonzero(again)[:1]:
        raise found.wrong(int(row) + 1, f"stands on line {found.at[row]} too.")
    return found


def _rows(cells: pa.Table, positions: Iterable[int]) -> Iterator[tuple[str, ...]]:
    columns = [cells.column(i).to_pylist() for i in positions]
    return zip(*columns, strict=True)


def _numbers(path: Path, cells: pa.Table, at: Lines, position: int) -> Lines:
    found = np.empty(len(at), np.int64)
    for i, text in enumerate(cells.column(position).to_pylist()):
        match = NUMBER.fullmatch(text)
        if not match:
            raise SourceMalformed(
                path,
                f"{text!r} is no number; it says which record the row is.",
                line=int(at[i]),
                column=OWN[position],
                remedy=REMEDY,
            )
        found[i] = int(match[1])
    return found


# What was edited ------------------------------------------------------------------------------


class Editing:
    """The edited texts of one load's records."""

    def __init__(self, edited: Edited, source: Source, known: set[tuple[str, int]]) -> None:
        """Match the columns; `known` are those of any load in the export.

        Raises:
            SourceMalformed: the edited file lacks a column of the load's.
        """
        self._edited, self._dialect = edited, source.dialect
        self._rows = edited.of(source.load.load_id)
        wanted = [*source.columns, (MORE, -1)]
        for name, _ in (c for c in wanted if c not in edited.columns):
            raise SourceMalformed(edited.path, "the column is gone.", column=name, remedy=REMEDY)
        self._wanted = [edited.columns[c] for c in wanted]
        foreign = known - set(wanted)
        self._foreign = {edited.columns[c]: c[0] for c in foreign if c in edited.columns}

    def __call__(self, spans: Spans) -> tuple[list[bytes], npt.NDArray[np.bool_]]:
        """The records' texts, and which of them were edited."""
        first = self._rows.start + int(
            np.searchsorted(self._edited.lines[self._rows], spans.lines[0])
        )
        part = self._edited.cells.slice(first, len(spans.lines))
        found: list[bytes] = []
        changed = np.zeros(len(spans.lines), np.bool_)
        rows = zip(_rows(part, self._wanted), texts(spans), strict=True)
        for i, (cells, record) in enumerate(rows):
            new = self._mended(first + i, [plain_text(c) for c in cells], record)
            changed[i] = new is not None
            found.append((record if new is None else new).encode())
        self._check_foreign(part, first)
        return found, changed

    def _mended(self, row: int, cells: list[str], record: str) -> str | None:
        """The edited record; None where it is as it was, but for line ends."""
        was = shown(record, self._dialect, len(cells) - 1)
        if list(map(_one_end, was)) == list(map(_one_end, cells)):
            return None
        kept = [w if _one_end(w) == _one_end(c) else c for w, c in zip(was, cells, strict=True)]
        broken = {broken_shown(mark): mark for mark in MARKED.findall(record)}
        *fields, more = [_unshown(cell, broken) for cell in kept]
        fields += [more] if more else []
        return (
            self._dialect.delimiter.join(self._written(row, fields, i) for i in range(len(fields)))
            + "\n"
        )

    def _written(self, row: int, fields: list[str], i: int) -> str:
        """A field as the load's file writes it."""
        text, quote = fields[i], self._dialect.quote
        special = (self._dialect.delimiter, "\n", "\r", quote or "\n")
        if not any(s in text for s in special) and (text or len(fields) > 1):
            return text
        if quote:
            return quote + text.replace(quote, quote * 2) + quote
        if not text:
            return " "
        raise self._edited.wrong(
            row,
            "its file has no quotes, so that no cell can hold its delimiter or a line end.",
            [*self._dialect.header, MORE][i],
        )

    def _check_foreign(self, part: pa.Table, first: int) -> None:
        """Refuse what was written where the load's file has no column."""
        for position, name in self._foreign.items():
            for i, text in enumerate(part.column(position).to_pylist()):
                if text:
                    message = "its file has no such column; leave the cell empty."
                    raise self._edited.wrong(first + i, message, name)


def _one_end(text: str) -> str:
    return ENDS.sub("\n", text)


def _unshown(text: str, broken: dict[str, str]) -> str:
    """The text with the bytes that are still broken as bronze keeps them."""
    for told, mark in broken.items():
        text = text.replace(told, mark)
    return text
