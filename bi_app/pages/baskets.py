"""Products bought together, with support, confidence and lift."""

from __future__ import annotations

from functools import partial

from bi_app import words
from bi_app.charts.rules import Rules
from bi_app.models import baskets as model
from bi_app.models.baskets import Baskets
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import _, joined


def notes(known: Baskets, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    bounds, figure = known.bounds, _(model.SORTS[answer.chosen.get("by")])
    when = _("{first} to {last}", first=words.day(bounds.first), last=words.day(bounds.last))
    return {
        "strongest": _("Across: support, up: confidence, both in per cent; the larger, the more"
                       " lift. The first {count} rules by {figure}", figure=words.inner(figure),
                       count=words.whole(min(model.SHOWN, len(known.rules)))),
        "rules": " ".join([
            f"{when}. {model.least()}",
            *(_(model.DEFINED[k]) for k in ("support", "confidence", "lift")),
        ]),
    }  # fmt: skip


LAYOUT = Layout(
    "Baskets",
    model.REPORT,
    [
        Part("strongest", "Strongest rules", model.DEFINED["lift"], model.STRONGEST,
             chart=lambda _: Rules("strongest", model.SHOWN), says=("lift", "name")),
        Part("rules", "Products bought together",
             joined(*(model.DEFINED[k] for k in ("support", "confidence", "lift")),
                    model.DEFINED["basket"]), rows=20),
    ],
    nothing=(
        "No products have been found together yet",
        "Rules appear here once enough sales have come (carrel consume) and have been analysed:"
        " carrel stream analyse",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
