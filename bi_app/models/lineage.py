"""From where a dataset comes and what reads it: sources, bronze, silver, gold."""

from __future__ import annotations

import time
from typing import Any

from bi_app.queries import rows
from bi_app.words import _
from warehouse import gold
from warehouse.access import Viewer
from warehouse.errors import CarrelError
from warehouse.spec import Dataset, datasets

KEPT_SECONDS = 60.0
_kept: dict[str, tuple[float, Any]] = {}


def _lately(name: str, read: Any) -> Any:
    """What `read` returns; at most a minute old."""
    at, found = _kept.get(name, (-1e9, None))
    if time.monotonic() - at > KEPT_SECONDS:
        found = read()
        _kept[name] = (time.monotonic(), found)
    return found


def spec_of(name: str) -> Dataset | None:
    """A dataset's spec; None where there is none that can be read."""
    try:
        known: dict[str, Dataset] = _lately("specs", datasets)
    except CarrelError:
        return None
    return known.get(name)


def lineage(viewer: Viewer, name: str) -> list[dict[str, Any]]:
    """Stages from left to right: title, and nodes of name, note and (gold) what else it reads."""
    return [
        {"title": _("Sources"), "nodes": _sources(name)},
        {
            "title": _("Bronze"),
            "nodes": [{"name": f"bronze.{name}", "note": _("lines as they arrived")}],
        },
        {
            "title": _("Silver"),
            "nodes": [{"name": f"silver.{name}", "note": _("typed and checked")}],
        },
        {"title": _("Gold"), "nodes": _gold(viewer, name)},
    ]


def _sources(name: str) -> list[dict[str, Any]]:
    spec = spec_of(name)
    if spec is None:
        return [{"name": _("not known"), "note": _("its spec is not here")}]
    source = spec.source
    place = getattr(source, "path", None) or getattr(source, "table", None) or source.kind
    found = [{"name": str(place), "note": source.kind}]
    return found + [{"name": a, "note": _("comes before it"), "dataset": a} for a in spec.after]


def _gold(viewer: Viewer, name: str) -> list[dict[str, Any]]:
    published = {r["table_name"]: r for r in rows(viewer, "gold_of", {"dataset": name})}
    try:
        tables = _lately("gold", _readers)
    except CarrelError:
        tables = {n: set(r["sources"]) for n, r in published.items()}
    found = []
    for table, sources in tables.items():
        if name in sources or table in published:
            others = sorted(sources - {name})
            row = published.get(table)
            note = _("{count} rows", count=row["rows"]) if row else _("not published yet")
            found.append({"name": f"gold.{table}", "note": note, "also": others})
    return found


def _readers() -> dict[str, frozenset[str]]:
    return {name: table.sources for name, table in gold.tables().items()}
