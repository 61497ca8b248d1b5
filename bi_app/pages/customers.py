"""Customers of the shop: segments with their rules, who comes again, and cohorts."""

from __future__ import annotations

from functools import partial

from bi_app import words
from bi_app.charts.bars import Look
from bi_app.charts.people import Cohorts, Groups, Months
from bi_app.models import customers as model
from bi_app.models.customers import Customers
from bi_app.models.members import ABOUT
from bi_app.models.shop import analysis
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _
from warehouse.settings import settings

GROUPS = Look(mark="before", unit="customers", format="0,0",
              about=N_("@share{0.0} %; @rule{safe}<br>@each{0,0.00} net revenue each"))  # fmt: skip
MONTHS = N_(
    "@_said<br><b>@borrowers{0,0}</b> ordered in the month"
    "<br><small>@active_12_months{0,0} in the window; @again{0.0} % again, @lapsed{0.0} %"
    " lapsed</small>"
)
COHORT = N_("First order @row, @month")
ORDERED = N_(
    "<br><b>@value{0.0} %</b> ordered<br><small>@active{0,0} of @size{0,0} customers</small>"
)


def cohort_map(known: Customers) -> Cohorts:
    """A row a cohort."""
    began = {r["category"] for r in known.cohorts if r["dimension"] == "cohort"} - {"earlier"}
    return Cohorts("cohorts", len(began) or 1, _(COHORT), _(ORDERED))


def notes(known: Customers, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    when = words.full_month(known.of(answer.chosen))
    about = _(ABOUT, least=settings().suppress_below)
    return {
        "segments": _("To the end of {month}; the mark is a month before. {about}", month=when,
                      about=about),
        "rules": joined_breaks(),
        "over_months": _("Bars: ordered in the month; line: in the window that ends with it"),
        "cohorts": _("Per cent that ordered, by months since the first order (0)"),
    }  # fmt: skip


def joined_breaks() -> str:
    """How the scores are made, in a line."""
    return " ".join(model.definitions()[1:])


def segments(known: Customers) -> Groups:
    """A bar a segment."""
    return Groups("segments", len(analysis().rfm.segments), GROUPS)


LAYOUT = Layout(
    "Customers",
    model.REPORT,
    [
        Part("segments", "Segments", model.DEFINED["rfm"], model.segment_columns(),
             chart=segments, span=5),
        Part("rules", "What the segments are", model.DEFINED["rfm"], span=7, search=False),
        Part("cohorts", "Cohorts", model.DEFINED["cohorts"], model.COHORT_COLUMNS,
             chart=cohort_map, says=("value", "row month")),
        Part("over_months", "Customers by month", model.DEFINED["again"], model.OVER_COLUMNS,
             chart=lambda _: Months("over_months", MONTHS), says=("borrowers", "month")),
    ],
    nothing=(
        "No month of customers has been told yet",
        "Counts of customers appear a week after the first whole month of sales, once they have"
        " been analysed: carrel stream analyse",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
