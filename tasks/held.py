"""Arrivals that are read from bronze: left by a killed run, or for making silver anew."""

from __future__ import annotations

from pathlib import Path

from tasks.blocks import bronze_lines
from tasks.dialect import dialect_of
from tasks.extract import Arrival
from tasks.ledger import left_in_bronze
from warehouse.spec import Dataset


def held_over(dataset: Dataset) -> list[Arrival]:
    """What a killed run landed and nobody merged, where the file itself is gone."""
    return [
        from_bronze(dataset, load, path, sha256, size)
        for load, path, sha256, size in left_in_bronze(dataset)
        if not path.exists()
    ]


def from_bronze(dataset: Dataset, load: int, path: Path, sha256: str, size: int) -> Arrival:
    """The arrival whose lines that load's bronze partition holds."""
    sample = next(bronze_lines(dataset.table, load), b"").decode()
    dialect = dialect_of(dataset, path, "utf-8", sample)
    return Arrival(dataset.table, path, sha256, size, dialect, bronze=load)
