"""Overdue and fines: by month, by age, by kind of material and by branch; nobody is named."""

from __future__ import annotations

from functools import partial

from bi_app import words
from bi_app.charts.bars import Bars, Look
from bi_app.charts.columns import Columns
from bi_app.models import fines as model
from bi_app.models.fines import Fines
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _

CHARGED = N_(
    "<b>@value{0,0.00}</b> charged<br><small>@paid{0,0.00} paid, @waived{0,0.00} waived</small>"
)
OWED = Look(unit="owed", format="0,0.00", about="for @loans{0,0} loans", series="in_house_uses")
OVERDUE = Look(unit="loans overdue", about="@share{0.0} % of loans out", series="renewals")


def notes(known: Fines, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    last = known.bounds.last
    day = words.day(last)
    return {
        "months": _("Charged (bars) and paid (line)"),
        "overdue": _("Not handed back by {day}", day=day),
        "owed": _("On {day}, by the age of the first charge", day=day),
        "late": _("By kind of material"),
        "branches": _("The most owed first"),
    }


LAYOUT = Layout(
    "Overdue and fines",
    model.REPORT,
    [
        Part("months", "Fines by month", model.CHARGED, model.month_columns(),
             chart=lambda _: Columns("months", line="paid", series="in_house_uses", tip=CHARGED),
             span=7),
        Part("overdue", "Overdue loans", model.OVERDUE, model.OVERDUE_COLUMNS,
             chart=lambda _: Bars("overdue", 9, OVERDUE), span=5),
        Part("late", "Late returns", model.LATE, span=7, search=False),
        Part("owed", "Fines owed", model.OWED, model.owed_columns(),
             chart=lambda _: Bars("owed", 9, OWED), span=5),
        Part("branches", "Branches", model.BY_BRANCH, rows=24, search=False),
    ],
    nothing=(
        "There is nothing overdue to show yet",
        "It appears here as soon as loan events and fines have been loaded and passed their"
        " contracts: carrel ingest library_fines",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
