"""Any dataset or gold table that the role may read: columns, rows, and counts by a column.

A table that `carrel add` made is here as soon as it is in the catalogue.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.charts.counts import Counts
from bi_app.models import explore
from bi_app.models.explore import Asked, Entry
from bi_app.models.table import Column, Table
from bi_app.pages.shell import Cell, Controls, Page, reacting, sendable, serving
from bi_app.words import N_, _

TITLE = N_("Explore")
NOTHING = (
    N_("There is nothing to explore yet"),
    N_("Tables appear here once they are in the catalogue."),
)
COUNT_NOTE = N_(
    "The most frequent values, or the newest months where it is a day or a time; counted over all"
    " rows that you may see."
)
COUNT_COLUMNS = (Column("full", "Value"), Column("rows", "Rows", "integer"))
Answer = tuple[dict[str, Any], pd.DataFrame]


class Explore:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        self.viewer = signed_in.account.viewer
        self.known = explore.catalogue(self.viewer)
        self.controls = Controls(options={"tables": listed(self.known)})
        if self.known:
            answer = self.answer(asked)
            self.chart = Counts(answer[1])
            self.show(answer)
            reacting(self.controls, signed_in, self.show, self.answer)

    def answer(self, asked: dict[str, Any]) -> Answer:
        """What the browser is told for a question, and the counts; asks the database."""
        question = explore.ask(self.viewer, asked, self.known)
        found = explore.total(self.viewer, question.entry)
        tables = {
            "rows": self._rows(question, found),
            "columns": sendable(meanings(question.entry)),
        }
        notes = described(question, found)
        told = {"query": question.as_dict(), "tables": tables, "notes": notes, "message": {}}
        return told, frame(explore.counts(self.viewer, question))

    def _rows(self, question: Asked, found: int) -> dict[str, Any]:
        table = sendable(explore.page_of_rows(self.viewer, question))
        last = min(-(-found // explore.PAGE_ROWS), explore.LAST_PAGE + 1)
        return {**table, "server": True, "page": question.page, "pages": max(last, 1)}

    def show(self, answer: Answer) -> None:
        """Send an answer."""
        told, counts = answer
        document = self.chart.figure.document
        if document is not None:  # an answer that comes later does not hold the document's lock
            document.add_next_tick_callback(partial(self.chart.show, counts))
        self.controls.param.update(**told)

    def page(self) -> Page:
        """The cells of the page."""
        if not self.known:
            return Page(TITLE, empty=NOTHING)
        cells = [
            Cell("columns", "Columns", span=7, kind="table"),
            Cell(
                "counts",
                "Rows by a column",
                COUNT_NOTE,
                (self.chart.figure,),
                "counts",
                COUNT_COLUMNS,
                span=5,
                download="counts",
            ),
            Cell("rows", "Rows", kind="table", download="rows", search=False),
        ]
        return Page(TITLE, source="explore", controls=self.controls, cells=cells, cards=False)


def listed(known: dict[str, Entry]) -> list[list[Any]]:
    """Tables to choose from: name, title, layer, columns."""
    return [[e.table_name, e.title, e.layer, e.names] for e in known.values()]


def frame(table: Table) -> pd.DataFrame:
    """A table as a frame, for a chart."""
    return pd.DataFrame({c.key: table.data[c.key] for c in table.columns})


def meanings(entry: Entry) -> Table:
    """The columns of a table and what they mean."""
    columns = [Column("name", "Column"), Column("type", "Type"), Column("meaning", "Meaning")]
    data = {k.key: [c.get(k.key) or "" for c in entry.columns] for k in columns}
    return Table("columns", "Columns", columns, data)


def described(question: Asked, found: int) -> dict[str, str]:
    """Texts that follow the chosen table."""
    entry = question.entry
    grain = f"{entry.grain[:1].upper()}{entry.grain[1:]}."
    return {
        "about": " ".join(filter(None, [grain, entry.description, licence(entry.licence)])),
        "rows": counted(entry, found),
        "columns": _("Key: {keys}", keys=", ".join(entry.key_columns)),
        "counts": _("By month of {column}", column=question.count_by)
        if question.by_month
        else _("By {column}", column=question.count_by),
    }


def counted(entry: Entry, found: int) -> str:
    """How many rows there are, and how many of them are shown."""
    given = {"count": min(found, explore.COUNTED), "table": entry.table_name}
    if found <= explore.SAVED_ROWS:
        return _("{count} rows of {table}; headings sort them all", **given)
    given["first"] = explore.SAVED_ROWS
    if found <= explore.COUNTED:
        return _(
            "{count} rows of {table}; headings sort them all; the first {first} are shown", **given
        )
    return _(
        "More than {count} rows of {table}; headings sort them all; the first {first} are shown",
        **given,
    )


def licence(name: str | None) -> str:
    """Under which licence a table stands, as a sentence; nothing where none is said."""
    return _("Licence: {licence}.", licence=name) if name else ""


def build(signed_in: SignedIn) -> Page:
    """The explorer for one person."""
    asked = {k: v[0].decode("utf-8", "replace") for k, v in pn.state.session_args.items()}
    return Explore(signed_in, asked).page()


serving(__name__, build)
