"""Cancellations: by month, product and country, and whether the sale behind each is known."""

from __future__ import annotations

from functools import partial

from bi_app.charts.bars import Bars, Look
from bi_app.charts.columns import Columns
from bi_app.models import returned as model
from bi_app.models.returned import Returned
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _

CANCELLED = N_(
    "<b>@value{0,0.00}</b> cancelled<br><small>@rate{0.0} % of @gross{0,0.00} gross revenue,"
    " @lines{0,0} lines</small>"
)
ABOUT = N_("@rate{0.0} % of @gross{0,0.00} gross revenue, @lines{0,0} lines")
BARS = Look(unit="cancelled", format="0,0.00", about=ABOUT, series="returns")
FOUND = Look(unit="lines", format="0,0", about=N_("@share{0.0} % of lines"), series="total")


def notes(known: Returned, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    return {
        "months": _("What cancelling invoices took back"),
        "outcomes": _("Whether the sale that was taken back is known"),
        "by_stock_code": _("The most taken back first"),
        "by_country": _("The most taken back first"),
    }


LAYOUT = Layout(
    "Cancellations",
    model.REPORT,
    [
        Part("months", "By month", model.RATE, model.month_columns(),
             chart=lambda _: Columns("months", series="returns", tip=CANCELLED), span=7),
        Part("outcomes", "The sale behind it", model.MATCHED, model.outcome_columns(),
             chart=lambda _: Bars("outcomes", 4, FOUND), span=5),
        Part("by_stock_code", "By product", model.RATE, model.by_columns("Product"),
             chart=lambda _: Bars("by_stock_code", 12, BARS), span=7),
        Part("by_country", "By country", model.RATE, model.by_columns("Country"),
             chart=lambda _: Bars("by_country", 12, BARS), span=5),
    ],
    nothing=(
        "No cancellation has been analysed yet",
        "They appear here once sales have come (carrel consume) and have been analysed:"
        " carrel stream analyse",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
