"""Draft a dataset from any CSV file: spec, contract and migration, for a person to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warehouse.spec import Dataset


@dataclass(frozen=True)
class Drafted:
    """What `draft` wrote: three files below the project folder, and what a person should check."""

    dataset: Dataset
    spec: Path
    contract: Path
    migration: Path
    notes: tuple[str, ...]


def draft(file: Path, *, domain: str = "local", name: str | None = None) -> Drafted:
    """Look at the whole of a CSV file and write a dataset for it into the project folder.

    Args:
        file: any delimited text file, compressed or not.
        domain: first part of the table's name.
        name: second part; made from the file's name when absent.

    Raises:
        SourceUnavailable: the file is not there, is no text, or holds no table.
        ConfigurationError: a dataset of that name is already there; it is left as it is.
    """
    raise NotImplementedError
