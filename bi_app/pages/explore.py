"""Any dataset or gold table that the role may read, in two faces: its rows, and summarised.

A table that `carrel add` made is here as soon as it is in the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.charts.counts import Counts
from bi_app.charts.lines import MOST, Lines
from bi_app.models import cards, explore, filters, report, summary
from bi_app.models.explore import Asked, Entry
from bi_app.models.figures import Answer, work
from bi_app.models.freshness import fresh_of
from bi_app.models.pictures import bars, drawn_measure, figure, lines, readable, sentence, when
from bi_app.models.selection import texts_of
from bi_app.models.table import Column, Table
from bi_app.pages import views
from bi_app.pages.shell import Cell, Controls, Page, reacting, sendable, serving
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.errors import CarrelError, ConfigurationError

TITLE = N_("Explore")
NOTHING = (
    N_("There is nothing to explore yet"),
    N_("Tables appear here once they are in the catalogue."),
)
FACES = ("rows", "summary")
HIDDEN = {"rows": ["groups", "over_time"], "summary": ["columns", "rows"]}
Told = tuple[dict[str, Any], Answer | None]


class Explore:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: Mapping[str, Any]) -> None:
        self.viewer = signed_in.account.viewer
        known, told = signed_in.prepared or prepare(self.viewer, asked)
        self.known: dict[str, Entry] = known
        self.controls = Controls(options=options(self.known))
        if told is not None:
            self.groups = Counts(pd.DataFrame({"value": [], "rows": []}), "groups", "")
            self.line = Lines("over_time")
            self.show(told)
            reacting(self.controls, signed_in, self.show, partial(answer, self.viewer, self.known))
            views.offer(self.controls, signed_in, "/explore")

    def show(self, told: Told) -> None:
        """Send an answer."""
        sent, found = told
        document = self.line.figure.document
        if found is not None and document is not None:  # a later answer does not hold its lock
            document.add_next_tick_callback(partial(self.draw, found))
        elif found is not None:
            self.draw(found)
        self.controls.param.update(**sent)

    def draw(self, found: Answer) -> None:
        """Draw the chart of a summary."""
        if found.question.over_time:
            grain = found.question.by[0].grain
            self.line.show(lines(found), partial(when, grain=grain))
        else:
            labels, values = bars(found)
            self.groups.show(pd.DataFrame({"value": labels, "rows": values}))

    def page(self) -> Page:
        """The cells of the page."""
        if not self.known:
            return Page(TITLE, empty=NOTHING)
        words, line, bar = summary.DEFINITION, (self.line.figure,), (self.groups.figure,)
        cells = [
            Cell("over_time", "Over time", words, line, "over_time", HEADS, download="summary"),
            Cell("groups", "By group", words, bar, "groups", HEADS, download="summary"),
            Cell("columns", "Columns", kind="table"),
            Cell("rows", "Rows", kind="table", download="rows", search=False),
        ]
        return Page(TITLE, source="explore", controls=self.controls, cells=cells, views=True)


HEADS = (Column("full", "Group"), Column("rows", "Figure", "number"))


def asked_in(arguments: Mapping[str, Sequence[bytes]]) -> dict[str, Any]:
    """The question in an address."""
    return cards.asked_in(texts_of(arguments))


def prepare(viewer: Viewer, asked: Mapping[str, Any]) -> tuple[dict[str, Entry], Told | None]:
    """The catalogue and the answer to a question, asked in a thread before the page is built."""
    known = explore.catalogue(viewer)
    if not known:
        return known, None
    try:
        return known, answer(viewer, known, asked)
    except CarrelError as slow:  # not asked again, while others wait for the page to be built
        return known, (unanswered(viewer, known, asked, slow), None)


def prepared(viewer: Viewer, arguments: Mapping[str, Sequence[bytes]]) -> Any:
    """What `prepare` finds for an address."""
    return prepare(viewer, asked_in(arguments))


def answer(viewer: Viewer, known: Mapping[str, Entry], asked: Mapping[str, Any]) -> Told:
    """What the browser is told for a question, and the summary to draw; asks the database."""
    asked = {k: v for k, v in asked.items() if v is not None}
    entry = explore.chosen(asked, known)
    if asked.get("face") == "summary":
        try:
            found = work(viewer, summary.begun(viewer, entry, asked))
        except ConfigurationError as refused:  # its rows are people
            return unanswered(viewer, known, asked, refused), None
        return summarised(viewer, found), found
    return listed(viewer, known, asked), None


def listed(viewer: Viewer, known: Mapping[str, Entry], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The face of rows."""
    entry, lost = explore.chosen(asked, known), list[str]()
    question = explore.ask(asked, known, summary.read_filters(entry, asked.get("filter"), lost))
    found = explore.total(viewer, question)
    kept = kept_summary(entry, asked)
    tables = {"rows": _rows(viewer, question, found), "columns": sendable(meanings(entry))}
    notes = described(viewer, entry) | {
        "rows": rows_note(question, found),
        "columns": _("Key: {keys}", keys=", ".join(entry.key_columns)),
    }
    return {
        "query": {**kept, **question.as_dict(), "face": "rows"}, "tables": tables, "notes": notes,
        "detail": {"hidden": HIDDEN["rows"]}, "cards": [], "message": warned(lost),
    }  # fmt: skip


def kept_summary(entry: Entry, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the other face asks for, as far as it makes sense, so that it is there again."""
    if summary.about_people(entry):
        return {}
    stated = summary.ask(entry, asked).as_dict()
    return {k: stated[k] for k in ("measure", "by") if k in asked and (k == "by" or asked[k])}


def _rows(viewer: Viewer, question: Asked, found: int) -> dict[str, Any]:
    table = sendable(explore.page_of_rows(viewer, question))
    last = min(-(-found // explore.PAGE_ROWS), explore.LAST_PAGE + 1)
    return {**table, "server": True, "page": question.page, "pages": max(last, 1)}


def summarised(viewer: Viewer, found: Answer) -> dict[str, Any]:
    """The face of a summary."""
    question = found.question
    place, other = ("over_time", "groups") if question.over_time else ("groups", "over_time")
    drawn = bool(question.by) and drawn_measure(found) is not None
    hidden = [*HIDDEN["summary"], other, *([] if question.by else [place])]
    table = {**sendable(readable(found)), "server": True, "page": 0, "pages": 1}
    notes = described(viewer, question.entry) | {
        place: "; ".join([found.table.title, *found.notes, *drawn_words(found)]),
        f"said_{place}": sentence(found) if drawn else "",
    }
    return {
        "query": {**question.as_dict(), "face": "summary"}, "tables": {place: table},
        "notes": notes, "detail": {"hidden": hidden}, "cards": totals(found),
        "message": warned(question.left_out),
    }  # fmt: skip


def unanswered(
    viewer: Viewer, known: Mapping[str, Entry], asked: Mapping[str, Any], why: CarrelError
) -> dict[str, Any]:
    """What is shown where there is no answer: why."""
    entry = explore.chosen(asked, known)
    hidden = [*HIDDEN["summary"], *HIDDEN["rows"]]
    face = asked.get("face") if asked.get("face") in FACES else "rows"
    return {
        "query": {"table": entry.table_name, "face": face, "filter": []}, "tables": {},
        "notes": described(viewer, entry), "detail": {"hidden": hidden}, "cards": [],
        "message": {"kind": "error", "text": why.message},
    }  # fmt: skip


def drawn_words(found: Answer) -> list[str]:
    """Which of several measures the chart draws, and that it does not draw all lines."""
    place, words = drawn_measure(found), list[str]()
    if place is not None and len(found.question.measures) > 1:
        words.append(_("drawn: {measure}", measure=found.question.measures[place].title))
    left = len(lines(found)) - MOST if found.question.over_time else 0
    return [*words, _("{count} lines are not drawn", count=left)] if left > 0 else words


def totals(found: Answer) -> list[report.Card]:
    """The figures of all rows that fit, one a measure."""
    told = []
    for n, measure in enumerate(found.question.measures):
        value, note = found.total[n], _("of {count} rows", count=found.rows)
        if found.withheld[n]:
            note = _("{count} counts of people are withheld", count=found.withheld[n])
        told.append(
            report.card(f"total{n}", measure.title, figure(value), summary.DEFINITION, note=note)
        )
    return told


def warned(lost: Sequence[str]) -> dict[str, str]:
    """A message about what was left out of a question."""
    text = " ".join(dict.fromkeys(lost))
    return {"kind": "error", "text": _("Left out: {text}", text=text)} if lost else {}


def options(known: Mapping[str, Entry]) -> dict[str, Any]:
    """What there is to choose from: the tables, and what may be asked of a column by its type."""
    tables = [[e.table_name, e.title, e.layer, asked_of(e)] for e in known.values()]
    types = {kind for *_, columns in tables for _, kind in columns}
    return {
        "tables": tables,
        "kinds": {kind: offered(kind) for kind in sorted(types)},
        "grains": summary.GRAINS,
        "tops": summary.TOPS,
        "measures": {k: _(v).format("…") for k, v in summary.MEASURES.items()},
        "most": [summary.MOST_MEASURES, summary.MOST_DIMENSIONS],
    }


def asked_of(entry: Entry) -> list[list[str]]:
    """The columns of a table that may be asked for, with their types; none of a table of people."""
    if summary.about_people(entry):
        return []
    return [[name, kind] for name, kind in summary.open_types(entry).items()]


def offered(kind: str) -> list[Any]:
    """What a column of a type may be asked for: measures, group, operators, and its input."""
    day, text = kind in filters.DAYS, kind in ("text", "boolean")
    group = "" if kind not in summary.GROUPED else "day" if day else "value"
    look = "date" if day else "text" if text else "number"
    return [summary.measures_of(kind), group, filters.operators(kind), look]


def meanings(entry: Entry) -> Table:
    """The columns of a table and what they mean."""
    columns = [Column("name", "Column"), Column("type", "Type"), Column("meaning", "Meaning")]
    data = {k.key: [c.get(k.key) or "" for c in entry.columns] for k in columns}
    return Table("columns", "Columns", columns, data)


def described(viewer: Viewer, entry: Entry) -> dict[str, str]:
    """What the chosen table is, and how fresh."""
    grain = f"{entry.grain[:1].upper()}{entry.grain[1:]}."
    fresh = fresh_of(viewer, entry.table_name).footer
    parts = [grain, entry.description, licence(entry.licence), f"{fresh}."]
    return {"about": " ".join(filter(None, parts))}


def licence(name: str | None) -> str:
    """Under which licence a table stands, as a sentence; nothing where none is said."""
    return _("Licence: {licence}.", licence=name) if name else ""


def rows_note(question: Asked, found: int) -> str:
    """How many rows there are, and which."""
    chosen = "".join(f"; {said}" for said in filters.said(question.filters))
    given = {"count": min(found, explore.COUNTED), "first": explore.SAVED_ROWS,
             "table": f"{question.entry.table_name}{chosen}"}  # fmt: skip
    if found <= explore.SAVED_ROWS:
        return _("{count} rows of {table}; headings sort them all", **given)
    if found <= explore.COUNTED:
        return _(
            "{count} rows of {table}; headings sort them all; the first {first} are shown", **given
        )
    return _(
        "More than {count} rows of {table}; headings sort them all; the first {first} are shown",
        **given,
    )


def build(signed_in: SignedIn) -> Page:
    """The explorer for one person."""
    return Explore(signed_in, asked_in(pn.state.session_args)).page()


serving(__name__, build)
