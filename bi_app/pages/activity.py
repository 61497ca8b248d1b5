"""The audit log for admins: who did what, filtered; active people by day, and pages."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.charts.trend import Point
from bi_app.models import activity
from bi_app.models.selection import firsts_of
from bi_app.models.table import Column
from bi_app.pages.shell import Cell, Page, reacting, sendable, serving
from bi_app.pages.trended import Answer, TrendPage
from bi_app.words import N_, _, ngettext
from warehouse.access import Viewer

TITLE = N_("Activity")
DAY_COLUMNS = (Column("day", "Day", "date"), Column("value", "People", "integer"))


class Activity(TrendPage):
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        work = partial(answer_of, signed_in.account.viewer)
        super().__init__("active", _("people"), "total", work(asked))
        reacting(self.controls, signed_in, self.show, work)

    def page(self) -> Page:
        """The cells of the page."""
        cells = [
            Cell("activity", "Audit log", activity.LOG, kind="table", rows=15,
                 download="activity"),
            Cell("active", "Active people", activity.ACTIVE, [self.chart.figure], "active",
                 DAY_COLUMNS, span=6, download="active"),
            Cell("pages", "Pages opened", activity.PAGES, kind="table", search=False, span=6,
                 rows=8, download="pages"),
        ]  # fmt: skip
        return Page(TITLE, source="activity", controls=self.controls, cells=cells)


def answer_of(viewer: Viewer, asked: dict[str, Any]) -> Answer:
    """Everything on the page, for what is asked for."""
    chosen = activity.choice(asked)
    now = activity.facts(viewer, chosen.days)
    found = activity.entries_table(viewer, chosen)
    span = _(activity.IN_SPANS[str(chosen.days)])
    fitting = (
        _("The newest {count} entries that fit; a file has them all, in UTC", count=len(found))
        if len(found) == activity.SHOWN
        else ngettext(
            "{count} entry that fits; a file has them all, in UTC",
            "{count} entries that fit; a file has them all, in UTC",
            len(found),
        )
    )
    told = {
        "query": chosen.as_dict(),
        "options": {"flat": True, "selects": activity.selects(now, chosen)},
        "cards": activity.cards(now, chosen),
        "tables": {"activity": {**sendable(found), "none": _("No entry fits.")},
                   "pages": {**sendable(activity.pages_table(viewer, chosen.days)),
                             "none": _("No page was opened.")}},
        "notes": {"activity": fitting,
                  "active": _("The last 30 days"), "pages": span[:1].upper() + span[1:]},
    }  # fmt: skip
    days: list[Point] = [(r["day"], r["people"], False) for r in activity.days(viewer)]
    return Answer(told, days)


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    asked = firsts_of(pn.state.session_args)
    return Activity(signed_in, asked).page()


serving(__name__, build)
