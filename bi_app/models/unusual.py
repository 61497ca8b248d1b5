"""What was unusual about loads: metrics unlike their own history, in words, with the usual."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from bi_app import words
from bi_app.models.quality import SEVERITIES, Row, badge, link, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.settings import settings

ABOUT = N_(
    "Metrics of each load are compared with the dataset's own past: with the same weekday where"
    " weekdays differ, and with one another. The usual range holds nine of ten such days; in the"
    " small line it is the band behind the last thirty values."
)
COLUMNS = (
    Column("severity", "Severity", "badge"),
    Column("day", "Day", "date"),
    Column("title", "Dataset", "link"),
    Column("message", "What was unusual"),
    Column("metric", "Metric"),
    Column("value", "Measured"),
    Column("usual", "Usual range"),
    Column("trend", "Of late", "spark"),
)
METRICS = {
    "volume": N_("Rows a load"),
    "duration_s": N_("Time a load takes"),
    "arrival_h": N_("Time of arrival"),
    "freshness_h": N_("Age of the newest event"),
    "quarantined": N_("Records held back"),
    "nulls": N_("Empty values"),
    "mean": N_("Mean"),
}


def unusual(viewer: Viewer, dataset: str | None = None) -> Table:
    """Anomalies of the last thirty days, of all datasets or of one, the newest first."""
    today = dt.datetime.now(ZoneInfo(settings().timezone)).date()
    records = [
        {
            **r,
            "severity": badge(r["severity"], SEVERITIES),
            "title": link(r["title"], "dataset", name=r["dataset"]),
            "message": _message(r, today),
            "metric": _name(r["metric"]),
            "value": _told(r["metric"], r["value"]),
            "usual": _usual(r),
            "trend": _trend(r),
        }
        for r in rows(viewer, "anomalies", {"dataset": dataset})
    ]
    columns = [c for c in COLUMNS if dataset is None or c.key != "title"]
    return table("unusual", "Unusual", columns, records, [ABOUT])


def _message(row: Row, today: dt.date) -> str:
    """The sentence; what was `today` when it was said has a date by now."""
    if row["day"] == today:
        return str(row["message"])
    return str(row["message"]).replace(" today ", f" on {row['day']} ")


def _name(metric: str) -> str:
    kind, _dot, column = metric.partition(".")
    said = _(METRICS.get(kind, metric))
    return _("{metric} of {column}", metric=said, column=column) if column else said


def _usual(row: Row) -> str:
    if row["low"] is None or row["high"] is None:
        return ""
    return f"{_told(row['metric'], row['low'])} – {_told(row['metric'], row['high'])}"


def _trend(row: Row) -> dict[str, Any]:
    values = (row["trend"] or [])[::-1]
    return {"values": values, "low": row["low"], "high": row["high"]}


def _told(metric: str, value: float | None) -> str:
    """A value as people read it, with its unit."""
    if value is None:
        return _("none")
    kind = metric.partition(".")[0]
    if kind == "arrival_h":
        minutes = round(max(value, 0) * 60)
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}"
    if kind in ("quarantined", "nulls"):
        return words.percent(100 * value)
    told = words.whole(round(value)) if kind == "volume" else words.localized(f"{value:,.4g}")
    units = {"duration_s": N_("{value} s"), "freshness_h": N_("{value} h")}
    return _(units[kind], value=told) if kind in units else told
