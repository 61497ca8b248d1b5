"""Records whose columns are known only when all are read: written down first, then given out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from tasks.arrays import texts

if TYPE_CHECKING:
    from warehouse.spec import Dataset

ROWS, CHARACTERS = 10_000, 16 << 20  # of a batch, whichever comes first
Record = Mapping[str, str | None]


class Gathered:
    """Records on disk, in batches of columns; `columns` are in the order in which they were seen.

    To be used in a `with`, which drops the file. The last batch stays in memory, so that few
    records are never written.

    Args:
        columns: columns that there are in any case.
    """

    def __init__(self, columns: tuple[str, ...] = ()) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._starts: list[int] = []  # of the batches in the file
        self._batch: list[Record] = []
        self._size = 0
        self.columns = dict.fromkeys(columns)
        self.count = 0

    def __enter__(self) -> Gathered:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, record: Record) -> None:
        """Take one record down."""
        if len(self._batch) == ROWS or self._size > CHARACTERS:
            self._write()
        self._batch.append(record)
        self._size += len("".join(filter(None, record.values())))
        self.columns.update(dict.fromkeys(record))
        self.count += 1

    def tables(self, dataset: Dataset) -> Iterator[pa.Table]:
        """Everything as texts, some 10,000 rows a table; at least one table, maybe without rows."""
        names = list(self.columns or (c.header for c in dataset.columns))
        yield pa.table([texts([])] * len(names), names)
        for start in self._starts:
            self._file.seek(start)
            with pa.ipc.open_stream(self._file) as stream:
                yield _filled_up(stream.read_all(), names)
        if self._batch:
            yield _filled_up(self._table(), names)

    def _write(self) -> None:
        table = self._table()
        self._starts.append(self._file.tell())
        with pa.ipc.new_stream(self._file, table.schema) as stream:
            stream.write_table(table)
        self._batch.clear()
        self._size = 0

    def _table(self) -> pa.Table:
        """The present batch, of the columns that it has."""
        names = list(dict.fromkeys(chain.from_iterable(self._batch)))
        return pa.table([texts([row.get(n) for row in self._batch]) for n in names], names)


def _filled_up(table: pa.Table, names: list[str]) -> pa.Table:
    """The table with all columns, in this order."""
    held = set(table.column_names)
    missing = pa.nulls(table.num_rows, pa.string())
    return pa.table([table[n] if n in held else missing for n in names], names)
