"""Readers of the kinds of source that are no delimited text, one a module.

Each has a function `read(dataset, path)` that yields Arrow tables of the same columns, named by
the header; of a source without rows one empty table. Values may have any type; null is nothing.
A text in the column `_fault` says why a record cannot be read: the record goes to quarantine
under the rule `unreadable`, its other cells unseen. The text is shown as it is, so it tells the
place and the reason and quotes no value: records may hold persons.
A table's metadata may say how many lines the text leaves blank ahead of its rows, or, in the first
table, ahead of the header; line numbers of findings then tell the place in the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.sources import FAULT, GROUP
from warehouse.spec import Dataset

BLANK_LINES = b"blank_lines"
__all__ = ["BLANK_LINES", "FAULT", "Read", "reader"]

Read = Callable[[Dataset, Path | None], Iterator[pa.Table]]


def reader(kind: str) -> Read:
    """The reader of a kind; `path` is None for kinds that read no files."""
    points = list(entry_points(group=GROUP, name=kind))
    found: Any = points[0].load() if points else import_module(f"tasks.sources.{kind}")
    read: Read = found.read
    return read
