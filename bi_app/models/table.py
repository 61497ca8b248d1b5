"""A table as people read it: named columns with a kind, and the same frame for every door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "text", "integer", "number", "percent", "money", "date", "datetime", "badge",
    "link", "moment", "seconds", "spark", "score", "action", "ratio", "exact",
]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column: its key in the data, its heading, and how its values are written."""

    key: str
    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """Columns and their data, all of one length; `notes` say what the figures mean."""

    name: str
    title: str
    columns: Sequence[Column]
    data: Mapping[str, Sequence[Any]]
    notes: Sequence[str] = field(default=())

    def __len__(self) -> int:
        return len(self.data[self.columns[0].key])

    def records(self) -> list[tuple[Any, ...]]:
        """The rows, in the order of the columns."""
        return list(zip(*(self.data[c.key] for c in self.columns), strict=True))
