"""Any table of the catalogue that the viewer's role may read: its rows, columns and counts.

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

from bi_app.models.table import Column, Kind, Table
from bi_app.queries import rows
from warehouse.access import Viewer
from warehouse.errors import CarrelError

PAGE_ROWS, SAVED_ROWS, COUNTED, VALUES = 25, 10_000, 100_000, 20
LAST_PAGE = SAVED_ROWS // PAGE_ROWS - 1
KINDS: Mapping[str, Kind] = {
    "smallint": "integer", "integer": "integer", "bigint": "integer", "numeric": "number",
    "double precision": "number", "date": "date", "timestamp without time zone": "datetime",
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
    columns: tuple[dict[str, str], ...]

    @property
    def identifier(self) -> sql.Identifier:
        """The table's name, quoted."""
        return sql.Identifier(*self.table_name.split(".", 1))

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [c["name"] for c in self.columns]

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
            tuple(r["key_columns"]), tuple(r["columns"] or ()),
        )
        for r in found
    ]  # fmt: skip
    return {e.table_name: e for e in entries}


@dataclass(frozen=True)
class Asked:
    """A question about one table, checked against the catalogue."""

    entry: Entry
    page: int = 0
    sort: str | None = None
    down: bool = False
    count_by: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The question as plain values, for the browser."""
        return {
            "table": self.entry.table_name, "page": self.page, "sort": self.sort or "",
            "down": self.down, "count_by": self.count_by,
        }  # fmt: skip


def ask(asked: Mapping[str, Any], known: Mapping[str, Entry]) -> Asked:
    """A question from untrusted values: what the catalogue does not hold becomes the default."""
    entry = known.get(str(asked.get("table"))) or next(iter(known.values()))
    sort, count_by = asked.get("sort"), asked.get("count_by")
    try:
        page = min(max(int(asked.get("page") or 0), 0), LAST_PAGE)
    except (TypeError, ValueError):
        page = 0
    return Asked(
        entry,
        page,
        sort if sort in entry.names else None,
        bool(asked.get("down")),
        count_by if count_by in entry.names else _default_count(entry),
    )


def _default_count(entry: Entry) -> str:
    """A column worth counting: the first text that is no key."""
    texts = [c["name"] for c in entry.columns if c["type"] == "text"]
    free = [n for n in texts if n not in entry.key_columns and not n.endswith(("_id", "_key"))]
    return (free or texts or entry.names)[0]


def page_of_rows(viewer: Viewer, asked: Asked, count: int = PAGE_ROWS) -> Table:
    """Rows of a table, from the asked page on.

    Raises:
        CarrelError: it took too long.
    """
    entry = asked.entry
    found = _timed(
        viewer,
        "explore_rows",
        {"limit": count, "offset": asked.page * PAGE_ROWS},
        columns=sql.SQL(", ").join(map(sql.Identifier, entry.names)),
        table=entry.identifier,
        order=entry.order(asked.sort, down=asked.down),
    )
    data = {n: [plain(r[n]) for r in found] for n in entry.names}
    return Table("rows", entry.title, entry.shown(), data, [entry.grain, entry.table_name])


def total(viewer: Viewer, entry: Entry) -> int:
    """The number of rows that the viewer sees, counted up to 100,001."""
    found = _timed(viewer, "explore_total", {"most": COUNTED + 1}, table=entry.identifier)
    return int(found[0]["total"])


def counts(viewer: Viewer, asked: Asked) -> Table:
    """The most frequent values of the asked column.

    Raises:
        CarrelError: it took too long.
    """
    found = _timed(
        viewer, "explore_counts", {"limit": VALUES},
        table=asked.entry.identifier, column=sql.Identifier(asked.count_by),
    )  # fmt: skip
    data = {
        "value": ["(none)" if r["value"] is None else r["value"] for r in found],
        "rows": [r["rows"] for r in found],
    }
    columns = [Column("value", asked.count_by), Column("rows", "Rows", "integer")]
    return Table("counts", f"Rows by {asked.count_by}", columns, data)


def _timed(viewer: Viewer, name: str, values: Mapping[str, Any], **parts: Any) -> list[Any]:
    try:
        return list(rows(viewer, name, values, seconds=10, **parts))
    except QueryCanceled as slow:
        raise CarrelError("This took longer than 10 seconds and was stopped.") from slow


def plain(value: Any) -> Any:
    """A value that JSON and spreadsheets know."""
    if isinstance(value, Decimal):
        return float(value)
    known = isinstance(value, (str, int, float, bool, dt.date, dt.datetime)) or value is None
    return value if known else str(value)
