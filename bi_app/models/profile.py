"""What each column of a dataset holds, as the newest profile says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bi_app import words
from bi_app.models.quality import table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer

ABOUT = N_(
    "What the columns hold, measured after the newest load. No value is shown that fewer than five"
    " rows or persons share; of a personal column there are counts alone."
)
COLUMNS = (
    Column("name", "Column"),
    Column("rows", "Rows", "integer"),
    Column("nulls", "Nulls"),
    Column("distinct", "Distinct", "integer"),
    Column("span", "From, to"),
    Column("mean", "Mean", "number"),
    Column("top", "Most frequent"),
    Column("drift", "Changed"),
)


def newest(viewer: Viewer, name: str) -> Table:
    """The newest profile, a row a column."""
    found = rows(viewer, "profile", {"dataset": name})
    return table("profile", "Profile", COLUMNS, [_row(r["name"], r["measures"]) for r in found])


def _row(name: str, measures: Mapping[str, Any]) -> dict[str, Any]:
    rows_, nulls = measures.get("rows"), measures.get("nulls")
    least, greatest = measures.get("min"), measures.get("max")
    drift = measures.get("drift") or {}
    share = (
        f"{words.whole(nulls)} ({words.percent(100 * nulls / rows_)})" if rows_ and nulls else nulls
    )
    return {
        "name": name,
        "rows": rows_,
        "nulls": str(share) if share is not None else "",
        "distinct": measures.get("distinct"),
        "span": _span(least, greatest),
        "mean": _number(measures.get("mean")),
        "top": _top(measures.get("top")),
        "drift": "; ".join(drift.get("words", ())) if isinstance(drift, Mapping) else "",
    }


def _span(least: Any, greatest: Any) -> str:
    """From and to; an end that one record alone would tell was not kept."""
    if least is None and greatest is None:
        return ""
    return " – ".join(_("withheld") if end is None else str(end) for end in (least, greatest))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _top(values: Sequence[Mapping[str, Any]] | None) -> str:
    """The three most frequent values, each with how often."""
    return ", ".join(f"{one['value']} ({words.whole(one['rows'])})" for one in (values or ())[:3])
