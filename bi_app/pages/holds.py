"""Holds: waiting times, how the branches' holds stand, and the titles to buy."""

from __future__ import annotations

from functools import partial

from bi_app import words
from bi_app.charts.bars import Bars, Look
from bi_app.charts.columns import Columns
from bi_app.models import holds as model
from bi_app.models.holds import Holds
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _

WAITED = N_(
    "<b>@value{0,0.[0]}</b> days, the median<br><small>nine of ten within @most days</small>"
)
AGES = Look(
    unit="active holds", series="renewals", about="@came{0,0} came in the period after so long"
)
MOST = 24


def states(known: Holds) -> Bars:
    """Active holds by branch."""
    about = N_("@on_shelf{0,0} on the shelf, @frozen{0,0} put off")
    look = Look(value="active", picks="branches", unit="active holds", about=about, series="total")
    return Bars("states", min(MOST, len(known.branches)), look)


def notes(known: Holds, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    day = words.day(known.as_of)
    limit = answer.chosen.get("threshold")
    return {
        "waits": _("Days: median (bars) and nine of ten (line), by the month the copy came"),
        "ages": _("Active holds on {day}", day=day),
        "buying": _("More than {limit} holds a copy, at all branches together", limit=limit),
        "states": _("Active holds on {day}; a click chooses a branch", day=day),
    }


LAYOUT = Layout(
    "Holds",
    model.REPORT,
    [
        Part("waits", "Waiting time", model.WAITS, model.WAIT_COLUMNS,
             chart=lambda _: Columns("waits", line="most", tip=WAITED), span=7),
        Part("ages", "Still waiting", model.AGES, model.AGE_COLUMNS,
             chart=lambda _: Bars("ages", len(model.BANDS) + 3, AGES), span=5),
        Part("buying", "Titles to buy", model.BUYING,
             none="No title has more holds a copy than the threshold."),
        Part("states", "Branches", model.STATES, model.STATE_COLUMNS, chart=states,
             says=("active", "name")),
    ],
    nothing=(
        "There are no holds to show yet",
        "They appear here as soon as holds have been loaded and passed their contract:"
        " carrel ingest library_holds",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
