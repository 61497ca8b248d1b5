"""Busy hours, for staffing: the week, its months as a surface, and branches by opened hour."""

from __future__ import annotations

from functools import partial
from typing import Any

from bi_app import words
from bi_app.charts.bars import Bars, Look
from bi_app.charts.heat import Heat
from bi_app.models import staffing as model
from bi_app.models.circulation import WEEKDAYS, Circulation
from bi_app.models.measures import MEASURES
from bi_app.models.table import Table
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _

MOST = 24
ROW = 26


def branch_bars(known: Circulation) -> Bars:
    """Branches by load of an opened hour."""
    about = N_("@sum{0,0} in @opened{0,0} opened hours; peak @peak{safe}")
    look = Look(picks="branches", about=about)
    return Bars("branches", min(MOST, len(known.codes)), look)


def surface(table: Table) -> dict[str, Any]:
    """The means of each month, for the browser to draw: months by weekdays by hours."""
    hours = list(dict.fromkeys(table.data["from"]))
    weekdays = list(dict.fromkeys(table.data["weekday"]))
    months = [words.full_month(m) for m in dict.fromkeys(table.data["month"])]
    return {"draw": "surface", "title": table.title, "months": months, "weekdays": weekdays,
            "hours": [h[:5] for h in hours], "values": table.data["value"]}  # fmt: skip


def notes(known: Circulation, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    title, weekday = _(MEASURES[answer.chosen.measure].title), answer.chosen.get("weekday")
    name = words.weekday(WEEKDAYS.index(weekday)) if weekday else ""
    each = {"week": _("mean of such an hour"), "opened": _("mean of an opened hour of a branch")}
    return {
        "week": f"{title}, {each[answer.chosen.get('each')]}",
        "months": _("{title}; slide through the months and turn the view", title=title),
        "branches": _("{title} of an opened hour; a click chooses a branch", title=title),
        "branch_hours": _("{title} on {weekday}, mean of a day", title=title, weekday=name)
        if weekday
        else _("{title} on all days of the week, mean of a day", title=title),
    }


LAYOUT = Layout(
    "Busy hours",
    model.REPORT,
    [
        Part("week", "The week", model.WEEK, model.WEEK_COLUMNS,
             chart=lambda _: Heat("week", 7), says=("value", "row from"), span=7),
        Part("months", "The week by month", model.MONTHS, model.MONTH_COLUMNS,
             says=("value", "month weekday from"),
             drawn=surface, span=5),
        Part("branches", "Branches by opened hour", model.BY_BRANCH, model.BRANCH_COLUMNS,
             chart=branch_bars, span=5),
        Part("branch_hours", "Branches by hour of the day", model.HOURS, model.HOUR_COLUMNS,
             chart=lambda known: Heat("branch_hours", len(known.codes), ROW),
             says=("value", "row from"), span=7),
    ],
    nothing=(
        "There is nothing to show yet",
        "Busy hours appear here as soon as loan events have been loaded and passed their contract:"
        " carrel ingest library_loan_events",
    ),
    notes=notes,
    measures=True,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
