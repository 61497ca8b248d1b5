"""Branches side by side: one figure as bars, all as a table, and as differences to the mean."""

from __future__ import annotations

from functools import partial

from bi_app.charts.bars import Bars, Look
from bi_app.models import branch_report as model
from bi_app.models.branch_report import Branches
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import _

LOOK = Look(mark="mean", picks="branches", unit="", format="0,0.[00]",
            about="@difference{+0.0} % to the mean, @mean{0,0.[0]}")  # fmt: skip


def bars(known: Branches) -> Bars:
    """The bars of the chosen figure."""
    return Bars("compared", len(known.branches), LOOK)


def notes(known: Branches, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    figure = _(model.FIGURES[answer.chosen.get("figure")])
    return {
        "compared": _("{figure}; the mark is the mean of all", figure=figure),
        "table": _("Headings sort; the line is the checkouts of each month"),
        "differences": _("In percent of the mean of all branches"),
    }


LAYOUT = Layout(
    "Branches",
    model.REPORT,
    [
        Part("compared", "One figure", model.COMPARED, model.BAR_COLUMNS, chart=bars),
        Part("table", "All figures", model.TABLE, rows=24, search=False),
        Part("differences", "Difference to the mean", model.DIFFERENCES, rows=24, search=False),
    ],
    nothing=(
        "There are no branches to compare yet",
        "They appear here as soon as loan events have been loaded and passed their contract:"
        " carrel ingest library_loan_events",
    ),
    notes=notes,
)
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
