"""Which dataset takes a file: one whose source path matches it, else one that its header fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from tasks.dialect import Dialect
from tasks.extract import Arrival, place, places
from tasks.kinds import KINDS, TEXT
from warehouse.errors import SourceMalformed
from warehouse.sources import CsvSource, ExcelSource, FileSource
from warehouse.spec import Dataset


class Taker(NamedTuple):
    """A dataset's table name, and by what the file was recognised."""

    dataset: str
    by: Literal["path", "header"]


def by_path(known: Mapping[str, Dataset]) -> dict[Path, str]:
    """Each file that a dataset's source path matches now, links in its folders resolved.

    Raises:
        SpecError: a source path goes up by `..`.
    """
    folders: dict[Path, Path] = {}
    found: dict[Path, str] = {}
    for name, dataset in known.items():
        if isinstance(dataset.source, FileSource):
            root, pattern = place(dataset, dataset.source)
            for path in root.glob(pattern):
                if path.parent not in folders:
                    folders[path.parent] = path.parent.resolve()
                found[folders[path.parent] / path.name] = name
    return found


def by_header(known: Iterable[Dataset], content: str, header: tuple[str, ...]) -> str | None:
    """The dataset of the content's kind whose columns the header names; of several the widest.

    At least half of the header must be known to it.
    """
    kind = "csv" if content in TEXT else KINDS[content].name if content in KINDS else None
    fitting = [
        (used, dataset.table)
        for dataset in known
        if dataset.source.kind == kind and (used := _used(dataset, header)) * 2 >= len(header) > 0
    ]
    return max(fitting, default=(0, None))[1]


def _used(dataset: Dataset, header: tuple[str, ...]) -> int:
    """How many of the header's columns the dataset reads; none where it lacks one."""
    if isinstance(dataset.source, CsvSource | ExcelSource) and dataset.source.header is False:
        return 0
    dialect = Dialect("utf-8", ",", '"', None, header, 1, 2)
    try:
        found = places(dataset, Arrival(dataset.table, Path(), "", 0, dialect))
    except SourceMalformed:
        return 0
    return len(found.used)
