"""Members: active, new, retention by cohort, core customers, by group and on a map."""

from __future__ import annotations

from functools import partial

from bi_app.charts.bars import Look
from bi_app.charts.people import Cohorts, Groups, Months, Places
from bi_app.models import members as model
from bi_app.models.members import DEFINED, Members
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import _
from warehouse.settings import settings

GROUPS = Look(mark="before", unit="active members", format="0,0", about="@share{0.0} %")
MOST = 20


def groups_bars(known: Members) -> Groups:
    """Bars of as many groups as the largest dimension has."""
    found = [(d, c) for _, d, c in known.cells if d in dict(model.DIMENSIONS)]
    counts = [len({c for each, c in found if each == d}) for d, _ in model.DIMENSIONS]
    return Groups("groups", min(MOST, max(counts, default=1)), GROUPS)


def cohort_map(known: Members) -> Cohorts:
    """A row a cohort."""
    return Cohorts("cohorts", len({c for _, d, c in known.cells if d == "joined"}) or 1)


def notes(known: Members, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    quarter = known.of(answer.chosen)
    when = model.quarter_name(quarter) if quarter else _("No quarter is told yet")
    about = _(model.ABOUT, least=settings().suppress_below)
    return {
        "active": _(
            "Bars: in the month; line: in the twelve months that end with it. {about}", about=about
        ),
        "groups": _("{when}; the mark is the same quarter a year before", when=when),
        "where": _("{when}, by the branch where they borrowed most", when=when),
        "cohorts": _("Per cent that borrowed, by quarters since the one of joining (0)"),
    }


LAYOUT = Layout(
    "Members",
    model.REPORT,
    [
        Part("active", "Active members", DEFINED["active"], model.MONTH_COLUMNS,
             chart=lambda _: Months("active"), says=("borrowers", "month")),
        Part("groups", "By group", DEFINED["groups"], model.GROUP_COLUMNS, chart=groups_bars,
             span=6),
        Part("where", "Where they borrow", DEFINED["where"], model.GROUP_COLUMNS,
             chart=lambda _: Places("where"), span=6),
        Part("cohorts", "Cohorts", DEFINED["cohorts"], model.COHORT_COLUMNS, chart=cohort_map,
             says=("value", "row quarter")),
    ],
    nothing=(
        "No whole month has been told yet",
        "Counts of members appear a week after the first whole month of loan events, once loan"
        " events and members have been loaded and passed their contracts:"
        " carrel ingest library_loan_events",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
