"""Prepare a file's rows for cleaning: narrow what is wide, hide persons, convert what is plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from tasks.arrays import numbers, values
from tasks.convert import Converter
from tasks.duck import Duck
from tasks.expressions import Converted, cell, pseudonyms, stand_in, unpivoted
from tasks.extract import Arrival, Places
from tasks.known import Known
from tasks.records import Batch, Finding, Numbers, batches
from warehouse.spec import Column, Dataset

MOST_CELLS = 500_000
NOTHING = Converted()


@dataclass(frozen=True)
class Block:
    """Rows to clean, with a row number `_r` from 0, and where each stands in the file.

    `cells` holds texts and pseudonyms; `ready` the values too of the columns that are `converted`.
    `skipped` blank records and those of the `findings` are in the file besides.
    """

    cells: pa.Table
    record_no: Numbers
    line_no: Numbers
    careful: bool
    skipped: int
    findings: list[Finding]
    ready: pa.Table
    converted: Converted = NOTHING


class Preparing:
    """The preparing of one file."""

    def __init__(self, dataset: Dataset, arrival: Arrival, places: Places) -> None:
        """Match the columns; DuckDB is made where it is used, beside the cleaning."""
        self._dataset, self._arrival, self._places = dataset, arrival, places
        self._convert = Converter(_cells(dataset, places))
        self._persons = [c for c in dataset.columns if c.privacy == "pseudonym"]
        self._known = {c.name: Known() for c in self._persons}
        if places.wide:
            self._unpivoted = unpivoted(dataset, places, arrival.dialect.header)

    def blocks(self) -> Iterator[Block]:
        """The file's rows in order, in blocks of bounded size."""
        self._duck = Duck()
        for batch in batches(self._arrival, self._dataset.text, self._places.used):
            self._duck.take_care(batch.careful)
            for block in self._cut(batch):
                narrow = self._narrow(block) if self._places.wide else block
                cells = self._without_persons(narrow.cells)
                ready, converted = self._convert(cells)
                yield replace(narrow, cells=cells, ready=ready, converted=converted)

    def _cut(self, batch: Batch) -> Iterator[Block]:
        """The batch in pieces, small ones where each row will be many; at least one."""
        wide = len(self._places.wide)
        rows = max(1, batch.cells.num_rows)
        step = max(1, MOST_CELLS // wide) if wide else rows
        for start in range(0, rows, step):
            cells = _numbered(batch.cells.slice(start, step))
            yield Block(
                cells,
                batch.record_no[start : start + step],
                batch.line_no[start : start + step],
                batch.careful,
                0 if start else batch.blank,
                [] if start else batch.findings,
                cells,
            )

    def _narrow(self, block: Block) -> Block:
        """A row for each wide cell; blank cells are skipped where the spec says so."""
        wide = len(self._places.wide)
        found = self._duck.ask(self._unpivoted, block=block.cells)
        row, cell = values(found["_r"], np.int64), values(found["cell"], np.int64)
        return replace(
            block,
            cells=_numbered(found.drop_columns(["_r", "cell"])),
            record_no=(block.record_no[row] - 1) * wide + cell + 1,
            line_no=block.line_no[row],
            skipped=block.skipped + block.cells.num_rows * wide - found.num_rows,
        )

    def _without_persons(self, cells: pa.Table) -> pa.Table:
        """The cells with pseudonyms beside them; each person is hashed once, not each row."""
        for column in self._persons:
            place = cell(column, self._places)
            if place not in cells.column_names:
                stands = pa.nulls(cells.num_rows, pa.string())
            else:
                persons = cells[place].combine_chunks()
                stands = self._known[column.name].of(persons, self._pseudonyms(column))
            cells = cells.append_column(stand_in(column), stands)
        return cells

    def _pseudonyms(self, column: Column) -> Callable[[pa.Array], pa.Array]:
        """What makes pseudonyms of a column's cells."""
        query = pseudonyms(column, self._places)

        def made(persons: pa.Array) -> pa.Array:
            order = numbers(np.arange(len(persons)))
            found = self._duck.ask(query, persons=pa.table([persons, order], ["person", "i"]))
            return found["stands"].combine_chunks()

        return made


def _numbered(cells: pa.Table) -> pa.Table:
    """The cells with a row number `_r` from 0."""
    return cells.append_column("_r", numbers(np.arange(cells.num_rows)))


def _cells(dataset: Dataset, places: Places) -> list[tuple[str, Column]]:
    """The columns whose cells stand in the block as they stood in the file, and where."""
    if dataset.key == "content":  # the key is made of texts
        return []
    found = ((c, places.columns[c.name]) for c in dataset.columns)
    return [(cell(c, places), c) for c, place in found if place is not None and place >= 0]
