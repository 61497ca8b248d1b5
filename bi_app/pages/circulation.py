"""Circulation over time, by branch, kind of material and Dewey class; each filters the others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bi_app.charts.bars import Bars, Look
from bi_app.charts.periods import Periods
from bi_app.models import lending_report as model
from bi_app.models.lending import FACETS, Lending
from bi_app.models.measures import MEASURES
from bi_app.models.report import moving_mean
from bi_app.models.selection import Selection
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _, joined

PICKS = {"branch": "branches", "item_type": "item_type", "dewey": "dewey"}
SPANS = {"branch": 4, "item_type": 4, "dewey": 4}
MOST = 14
SMOOTH_DAYS = 28


OVER_TIME = {
    "day": N_("{title} by day; drag the strip to move the period"),
    "week": N_(
        "{title} by week; a click on a week opens its days; drag the strip to move the period"
    ),
    "month": N_("{title} by month; a click on a month opens it; drag the strip to move the period"),
    "year": N_("{title} by year; a click on a year opens it; drag the strip to move the period"),
}


def bars(facet: str, known: Lending) -> Bars:
    """The bars of a facet."""
    rows = min(MOST, max(len(f.codes) for f in known.facets.values()))
    about = _("share @share{0.0} %, before @before{0,0}")
    return Bars(f"by_{facet}", rows, Look(mark="before", picks=PICKS[facet], about=about))


def whole(known: Lending, chosen: Selection, charts: Mapping[str, Any]) -> None:
    """The strip below the chart: everything there is, smoothed."""
    days = known.days(chosen, chosen.measure)
    charts["over_time"].show_whole(known.first, moving_mean(days, SMOOTH_DAYS))


def notes(known: Lending, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    title, grain = _(MEASURES[answer.chosen.measure].title), answer.chosen.get("grain")
    by = {f"by_{f}": _("{title}; the mark is the period before", title=title) for f in FACETS}
    return {
        "over_time": _(OVER_TIME[grain], title=title),
        **by,
    }


LAYOUT = Layout(
    "Circulation over time",
    model.REPORT,
    [
        Part("over_time", "Over time", model.OVER_TIME, model.TIME_COLUMNS,
             chart=lambda _: Periods("over_time"), says=("value", "start")),
        *(Part(f"by_{f}", model.TITLES[f], joined(model.BY[f], model.CROSSED),
               model.facet_columns(f),
               chart=partial(bars, f), span=SPANS[f]) for f in FACETS),
    ],
    nothing=(
        "There is no circulation to show yet",
        "It appears here as soon as loan events have been loaded and passed their contract:"
        " carrel ingest library_loan_events",
    ),
    notes=notes,
    beside=whole,
    measures=True,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
