"""Records whose columns are known only when all are read: written down first, then given out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from warehouse.spec import Dataset

ROWS = 10_000


class Gathered:
    """Records on disk, a line of JSON each; columns in the order in which they were first seen.

    To be used in a `with`, which drops the file.

    Args:
        columns: columns that there are in any case.
    """

    def __init__(self, columns: tuple[str, ...] = ()) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._columns = dict.fromkeys(columns)
        self.count = 0

    def __enter__(self) -> Gathered:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, record: Mapping[str, str | None]) -> str:
        """Write down one record; returns the line that stands for it."""
        line = json.dumps(record, ensure_ascii=True)
        self._columns |= dict.fromkeys(record)
        self._file.write(line + "\n")
        self.count += 1
        return line

    def tables(self, dataset: Dataset) -> Iterator[pa.Table]:
        """Everything as texts, some 10,000 rows a table; at least one table, maybe without rows."""
        if not self._columns:
            self._columns = dict.fromkeys(c.header for c in dataset.columns)
        schema = pa.schema([(name, pa.string()) for name in self._columns])
        self._file.seek(0)
        yield schema.empty_table()
        while lines := list(islice(self._file, ROWS)):
            yield pa.Table.from_pylist([json.loads(line) for line in lines], schema)
