"""The stock: turnover, relative use, last use, age, acquisitions, and what to weed."""

from __future__ import annotations

from functools import partial

from bi_app import words
from bi_app.charts.bars import Bars, Look
from bi_app.models import collection as model
from bi_app.models.collection import Collection
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import _

MOST = 12
DECADES = 14


def parts_bars(name: str, look: Look, known: Collection) -> Bars:
    """Bars of the parts of the stock."""
    divisions = [code.partition(":")[0] for code in known.parts]
    most = max(divisions.count(d) for d in set(divisions))
    return Bars(name, min(MOST, most), look)


TURNOVER = Look(
    value="turnover", mark="whole", picks="part", unit="loans a copy a year", format="0.00",
    about="@holdings{0,0} copies, @circulation{0,0} checkouts",
)  # fmt: skip
RELATIVE = Look(value="relative_use", picks="part", unit="relative use", line=1, format="0.00",
                about="@share_circulation{0.0} % of checkouts, @share_holdings{0.0} % of copies",
                series="total")  # fmt: skip
AGE = Look(unit="copies", about="@share{0.0} %", series="returns")


def notes(known: Collection, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    part = known.parts.get(answer.chosen.get("part"), _("the whole stock"))
    median = model.median_age(known, answer.chosen)
    age = (
        _("Of {part}", part=part)
        if median is None
        else _("Of {part}; median age {median} years", part=part, median=words.short(median))
    )
    found = next((c for c in answer.cards if c["name"] == "weed"), {"value": "0"})
    return {
        "turnover": _("Loans a copy a year; the mark is the whole stock"),
        "relative_use": _("Above the dashed line: used more than its size says"),
        "idle": _("As of {day}", day=words.day(known.as_of)),
        "age": age,
        "buying": _("The last 365 days, most in demand first"),
        "weeding": _(
            "{value} of {part}; the first {listed} here, up to {saved} in the file",
            value=found["value"],
            part=part,
            listed=model.LISTED,
            saved=model.SAVED,
        ),
    }


LAYOUT = Layout(
    "Collection",
    model.REPORT,
    [
        Part("turnover", "Turnover", model.TURNOVER, model.USE_COLUMNS,
             chart=partial(parts_bars, "turnover", TURNOVER), says=("turnover", "name"), span=6),
        Part("relative_use", "Relative use", model.RELATIVE, model.USE_COLUMNS,
             chart=partial(parts_bars, "relative_use", RELATIVE), says=("relative_use", "name"),
             span=6),
        Part("idle", "Last use", model.WITHIN, span=7, rows=12, search=False),
        Part("age", "Age", model.AGE, model.AGE_COLUMNS,
             chart=lambda _: Bars("age", DECADES, AGE), span=5),
        Part("buying", "Acquisitions and demand", model.BUYING, rows=12, search=False),
        Part("weeding", "Weeding list", model.WEEDING, none="Nothing to weed in this selection."),
    ],
    nothing=(
        "There is no stock to show yet",
        "It appears here as soon as the catalogue has been loaded and passed its contract:"
        " carrel ingest library_items",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
