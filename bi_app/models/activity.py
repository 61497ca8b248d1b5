"""What people do, as the audit log tells it: filtered, by day and by page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bi_app.models.quality import Row, badge, figure, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from warehouse.access import Viewer
from warehouse.settings import settings

SPANS = {"1": "24 hours", "7": "7 days", "30": "30 days", "365": "a year"}
LOOKS = {"done": "good", "begun": "", "refused": "warn", "failed": "bad"}
SHOWN, SAVED, DAYS = 500, 50_000, 30
LOG = (
    "Sign-ins, pages opened, files saved, changes, runs, upkeep and refusals, as the audit log"
    " holds them. It is only ever added to; carrel audit verify proves it untouched."
)
ACTIVE = "People who opened at least one page that day."
PAGES = "Pages by how often they were opened, and by how many people."
COLUMNS = (
    Column("at", "When", "moment"),
    Column("who", "Who"),
    Column("role", "Role"),
    Column("act", "Did"),
    Column("subject", "What"),
    Column("outcome", "Outcome", "badge"),
    Column("door", "Through"),
    Column("address", "From"),
    Column("details", "Details"),
)
PAGE_COLUMNS = (
    Column("page", "Page"),
    Column("views", "Opened", "integer"),
    Column("people", "By people", "integer"),
    Column("last_at", "Last", "moment"),
)
DAY_COLUMNS = (
    Column("day", "Day", "date"),
    Column("value", "People", "integer"),
    Column("admins", "Admins", "integer"),
    Column("librarians", "Librarians", "integer"),
    Column("members", "Members", "integer"),
)
Point = tuple[dt.date, float | None, bool]


@dataclass(frozen=True)
class Choice:
    """Which entries are asked for; an empty text is any."""

    days: int = 7
    who: str = ""
    act: str = ""
    door: str = ""
    outcome: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As the browser's choice."""
        return {**vars(self), "days": str(self.days)}


def choice(asked: Mapping[str, Any]) -> Choice:
    """What a browser asked for; what it may not ask is any."""
    days = str(asked.get("days"))
    texts = {k: str(asked.get(k) or "")[:200] for k in ("who", "act", "door", "outcome")}
    if texts["outcome"] not in LOOKS:
        texts["outcome"] = ""
    return Choice(int(days) if days in SPANS else 7, **texts)


def facts(viewer: Viewer, days: int) -> Row:
    """Figures of the last days, and the people, acts and doors in them."""
    return rows(viewer, "activity_facts", {"days": days})[0]


def entries_table(viewer: Viewer, chosen: Choice, most: int = SHOWN) -> Table:
    """The entries that fit, the newest first; moments are written in UTC in files."""
    found = rows(viewer, "activity", {**vars(chosen), "most": most})
    records = [
        {**r, "outcome": badge(r["outcome"], LOOKS), "act": r["act"].replace("_", " "),
         "details": ", ".join(f"{k}: {v}" for k, v in r["details"].items())}
        for r in found
    ]  # fmt: skip
    return table("activity", "Activity", COLUMNS, records, [LOG])


def days(viewer: Viewer) -> Sequence[Row]:
    """Active people of each of the last 30 days, by role."""
    return rows(viewer, "activity_days", {"days": DAYS, "zone": settings().timezone})


def pages_table(viewer: Viewer, span: int) -> Table:
    """Which pages were opened, how often and by how many."""
    found = rows(viewer, "activity_pages", {"days": span})
    return table("pages", "Pages opened", PAGE_COLUMNS, found, [PAGES])


def days_table(found: Sequence[Row]) -> Table:
    """The active people by day as a table."""
    records = [{**r, "value": r["people"]} for r in found]
    return table("active", "Active people", DAY_COLUMNS, records, [ACTIVE])


def selects(now: Row, chosen: Choice) -> list[dict[str, Any]]:
    """What there is to choose from."""

    def of(known: Sequence[str], one: str) -> list[list[str]]:
        return [["", "Any"], *([v, v.replace("_", " ")] for v in sorted({*known, one} - {""}))]

    return [
        {"key": "days", "label": "In the last", "values": list(map(list, SPANS.items()))},
        {"key": "who", "label": "Who", "values": [
            ["", "Anybody"], *([v, v] for v in sorted({*now["whos"], chosen.who} - {""}))]},
        {"key": "act", "label": "Did", "values": of(now["acts"], chosen.act)},
        {"key": "door", "label": "Through", "values": of(now["doors"], chosen.door)},
        {"key": "outcome", "label": "Outcome", "values": of(list(LOOKS), chosen.outcome)},
    ]  # fmt: skip


def cards(now: Row, chosen: Choice) -> list[dict[str, Any]]:
    """The figures on top."""
    span = f"in {SPANS[str(chosen.days)]}"
    return [
        figure("people", "Active people", f"{now['people']:,}", span, ACTIVE),
        figure("views", "Pages opened", f"{now['views']:,}", span, PAGES),
        figure("exports", "Files saved", f"{now['exports']:,}", span,
               "Exports by pages and at the shell that were done."),
        figure("refused", "Refused", f"{now['refused']:,}", f"{now['failed']:,} more failed",
               "Sign-ins, pages and files that were refused. Failed: acts that ended in an error.",
               look="warn" if now["refused"] else ""),
    ]  # fmt: skip
