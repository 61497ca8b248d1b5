"""The annual return: the figures of a year, each with how it is worked out, to save as a file."""

from __future__ import annotations

from functools import partial

from bi_app.models import annual_return as model
from bi_app.models.annual_return import Years
from bi_app.models.report import said
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _

COVERED = {  # whether the data begins in the year, and whether it ends in it
    (False, False): N_("{year}, the whole year"),
    (True, False): N_("{year}, from {first}"),
    (False, True): N_("{year}, to {last}"),
    (True, True): N_("{year}, from {first} to {last}"),
}


def notes(known: Years, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    year = int(answer.chosen.get("year"))
    first, last = known.bounds.first, known.bounds.last
    given = {"year": str(year), "first": said(first), "last": said(last)}
    covered = _(COVERED[first.year == year, last.year == year], **given)
    return {"annual": covered, "collections": covered}


LAYOUT = Layout(
    "Annual return",
    model.REPORT,
    [
        Part("annual", "The return", model.RETURN, rows=30, search=False),
        Part("collections", "By collection", model.BY_COLLECTION, rows=30, search=False),
    ],
    nothing=(
        "There is no year to report yet",
        "It appears here as soon as loan events have been loaded and passed their contract:"
        " carrel ingest library_loan_events",
    ),
    notes=notes,
)
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
