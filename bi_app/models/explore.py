"""Any table of the catalogue that the viewer's role may read: its rows and columns.

Names of tables and columns come from the catalogue alone: what a browser asks for is looked up
there, never put into SQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import sql
from psycopg.errors import QueryCanceled

from bi_app.models.filters import Filter, said, where
from bi_app.models.table import Column, Kind, Table
from bi_app.queries import rows
from bi_app.words import _
from warehouse.access import Viewer
from warehouse.errors import CarrelError

PAGE_ROWS, SAVED_ROWS, COUNTED, VALUES, SAMPLED = 25, 10_000, 100_000, 20, 2_000
LAST_PAGE = SAVED_ROWS // PAGE_ROWS - 1
KINDS: Mapping[str, Kind] = {
    "smallint": "integer", "integer": "integer", "bigint": "integer", "numeric": "exact",
    "double precision": "exact", "date": "date", "timestamp without time zone": "datetime",
    "timestamp with time zone": "datetime",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A table of the catalogue, with the columns that the viewer's role may read."""

    table_name: str
    layer: str
    title: str
    grain: str
    description: str
    licence: str | None
    key_columns: tuple[str, ...]
    branch: str | None
    columns: tuple[dict[str, str], ...]
    member: str | None = None

    @property
    def identifier(self) -> sql.Identifier:
        """The table's name, quoted."""
        return sql.Identifier(*self.table_name.split(".", 1))

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [c["name"] for c in self.columns]

    def of_kind(self, *kinds: Kind) -> list[str]:
        """The names of the columns of these kinds, in order."""
        return [c.key for c in self.shown() if c.kind in kinds]

    def shown(self) -> list[Column]:
        """The columns as a table shows them."""
        return [Column(c["name"], c["name"], KINDS.get(c["type"], "text")) for c in self.columns]

    def order(self, sort: str | None, *, down: bool) -> sql.Composed:
        """An order of rows: by a column that is in the catalogue, then by the key."""
        keys = [k for k in self.key_columns if k in self.names] or self.names[:1]
        parts = [sql.Identifier(k) for k in keys if k != sort]
        ordered: list[sql.Composable] = list(parts)
        if sort in self.names:
            way = sql.SQL(" desc nulls last") if down else sql.SQL(" asc nulls last")
            ordered.insert(0, sql.Identifier(sort) + way)
        return sql.SQL(", ").join(ordered)


def catalogue(viewer: Viewer) -> dict[str, Entry]:
    """What the viewer's role may read, by table name, gold first."""
    found = rows(viewer, "explore_catalogue")
    entries = [
        Entry(
            r["table_name"], r["layer"], r["title"], r["grain"], r["description"], r["licence"],
            tuple(r["key_columns"]), r["branch"], tuple(r["columns"] or ()), r["member"],
        )
        for r in found
    ]  # fmt: skip
    return {e.table_name: e for e in entries}


@dataclass(frozen=True)
class Asked:
    """Rows of one table that are asked for, checked against the catalogue."""

    entry: Entry
    filters: tuple[Filter, ...] = ()
    page: int = 0
    sort: str | None = None
    down: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The question as plain values, for the browser."""
        return {
            "table": self.entry.table_name, "page": self.page, "sort": self.sort or "",
            "down": self.down, "filter": [f.text for f in self.filters],
        }  # fmt: skip


def ask(
    asked: Mapping[str, Any], known: Mapping[str, Entry], filters: tuple[Filter, ...] = ()
) -> Asked:
    """A question from untrusted values: what the catalogue does not hold becomes the default."""
    entry, sort = chosen(asked, known), asked.get("sort")
    try:
        page = min(max(int(asked.get("page") or 0), 0), LAST_PAGE)
    except (TypeError, ValueError, OverflowError):
        page = 0
    sort = sort if isinstance(sort, str) and sort in entry.names else None
    return Asked(entry, filters, page, sort, asked.get("down") in (True, "1", "true"))


def chosen(asked: Mapping[str, Any], known: Mapping[str, Entry]) -> Entry:
    """The table that is asked for; the first where there is none of that name."""
    return known.get(str(asked.get("table"))) or next(iter(known.values()))


def worth_counting(viewer: Viewer, entry: Entry) -> str:
    """The branch; else what has few values among some rows; else the first text that is no key."""
    if entry.branch in entry.names:
        return str(entry.branch)
    few = _few_valued(viewer, entry)
    texts = entry.of_kind("text")
    free = [n for n in texts if n not in entry.key_columns and not n.endswith(("_id", "_key"))]
    return (few or free or texts or entry.names)[0]


def _few_valued(viewer: Viewer, entry: Entry) -> list[str]:
    """Columns that put the rows into a few groups: texts first, then months, then numbers."""
    names = [sql.Identifier(n) for n in entry.names]
    counts = [sql.SQL("count(distinct {0}) as {0}").format(n) for n in names]
    (found,) = _timed(
        viewer, "explore_variety", {"most": SAMPLED}, table=entry.identifier,
        columns=sql.SQL(", ").join(names), counts=sql.SQL(", ").join(counts),
    )  # fmt: skip
    rows = found["rows of the sample"]
    most = min(VALUES, rows // 2)
    texts, numbers = (
        [n for n in entry.of_kind(kind) if 2 <= found[n] <= most] for kind in ("text", "integer")
    )
    days = [n for n in entry.of_kind("date", "datetime") if found[n] > 1 and rows > 2 * VALUES]
    return [*texts, *days, *numbers]


def page_of_rows(viewer: Viewer, asked: Asked, count: int = PAGE_ROWS) -> Table:
    """Rows of a table, from the asked page on.

    Raises:
        CarrelError: it took too long.
    """
    entry = asked.entry
    fits, values = conditions(asked)
    found = _timed(
        viewer,
        "explore_rows",
        {**values, "limit": count, "offset": asked.page * PAGE_ROWS},
        columns=sql.SQL(", ").join(map(sql.Identifier, entry.names)),
        table=entry.identifier,
        where=fits,
        order=entry.order(asked.sort, down=asked.down),
    )
    data = {n: [plain(r[n]) for r in found] for n in entry.names}
    notes = [entry.grain, entry.table_name, *said(asked.filters)]
    return Table("rows", entry.title, entry.shown(), data, notes)


def total(viewer: Viewer, asked: Asked) -> int:
    """The number of rows that fit and that the viewer sees, counted up to 100,001."""
    fits, values = conditions(asked)
    found = _timed(
        viewer, "explore_total", {**values, "most": COUNTED + 1}, table=asked.entry.identifier,
        where=fits,
    )  # fmt: skip
    return int(found[0]["total"])


def conditions(asked: Asked) -> tuple[sql.Composable, dict[str, Any]]:
    """The condition on the rows, with its bound values."""
    types = {c["name"]: c["type"] for c in asked.entry.columns}
    return where(asked.filters, types, asked.entry.identifier)


def _timed(viewer: Viewer, name: str, values: Mapping[str, Any], **parts: Any) -> list[Any]:
    try:
        return list(rows(viewer, name, values, seconds=10, **parts))
    except QueryCanceled as slow:
        raise CarrelError(_("This took longer than 10 seconds and was stopped.")) from slow


def plain(value: Any) -> Any:
    """A value that JSON and spreadsheets know."""
    if isinstance(value, Decimal):
        return float(value)
    known = isinstance(value, (str, int, float, bool, dt.date, dt.datetime)) or value is None
    return value if known else str(value)
