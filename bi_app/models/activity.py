"""What people do, as the audit log tells it: filtered, by day and by page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bi_app import words
from bi_app.models.quality import Row, badge, figure, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.settings import settings

SPANS = {"1": N_("24 hours"), "7": N_("7 days"), "30": N_("30 days"), "365": N_("a year")}
LOOKS = {N_("done"): "good", N_("begun"): "", N_("refused"): "warn", N_("failed"): "bad"}
IN_SPANS = {
    "1": N_("in 24 hours"), "7": N_("in 7 days"), "30": N_("in 30 days"), "365": N_("in a year"),
}  # fmt: skip
SHOWN, SAVED, DAYS = 500, 50_000, 30
LOG = N_(
    "Sign-ins, pages opened, files saved, changes, runs, upkeep and refusals, as the audit log"
    " holds them. It is only ever added to; carrel audit verify proves it untouched."
)
ACTIVE = N_("People who opened at least one page that day.")
PAGES = N_("Pages by how often they were opened, and by how many people.")
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
        {**r, "outcome": badge(r["outcome"], LOOKS), "act": _(r["act"].replace("_", " ")),
         "role": _(r["role"] or ""), "door": _(r["door"]),
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
        return [
            ["", _("Any")],
            *([v, _(v.replace("_", " "))] for v in sorted({*known, one} - {""})),
        ]

    return [
        {"key": "days", "label": _("In the last"), "values": [[k, _(v)] for k, v in SPANS.items()]},
        {"key": "who", "label": _("Who"), "values": [
            ["", _("Anybody")], *([v, v] for v in sorted({*now["whos"], chosen.who} - {""}))]},
        {"key": "act", "label": _("Did"), "values": of(now["acts"], chosen.act)},
        {"key": "door", "label": _("Through"), "values": of(now["doors"], chosen.door)},
        {"key": "outcome", "label": _("Outcome"), "values": of(list(LOOKS), chosen.outcome)},
    ]  # fmt: skip


def cards(now: Row, chosen: Choice) -> list[dict[str, Any]]:
    """The figures on top."""
    span = _(IN_SPANS[str(chosen.days)])
    return [
        figure("people", "Active people", words.whole(now["people"]), span, ACTIVE),
        figure("views", "Pages opened", words.whole(now["views"]), span, PAGES),
        figure("exports", "Files saved", words.whole(now["exports"]), span,
               "Exports by pages and at the shell that were done."),
        figure("refused", "Refused", words.whole(now["refused"]),
               _("{count} more failed", count=now["failed"]),
               "Sign-ins, pages and files that were refused. Failed: acts that ended in an error.",
               look="warn" if now["refused"] else ""),
    ]  # fmt: skip
