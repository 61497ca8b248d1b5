"""A member's past loans and holds, as far as agreed to, and the consent itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.charts.bars import Bars, Look
from bi_app.charts.columns import Columns
from bi_app.models import my_history
from bi_app.models.freshness import freshness
from bi_app.models.my_history import MyHistory
from bi_app.models.my_loans import READS
from bi_app.models.report import summary
from bi_app.models.selection import firsts_of
from bi_app.pages.my_loans import FRESH, UNLINKED
from bi_app.pages.shell import Cell, Controls, Page, acting, reacting, sendable, serving
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("My history")
DRAWN = ("months", "subjects")
LISTED = ("loans", "holds")
OVER, HIDDEN = N_("Nothing is over yet."), N_("Your history is hidden.")
SUBJECT = Look(unit="loans", format="0,0", about="@share{0.0} %", series="total")


class History:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        self.viewer = signed_in.account.viewer
        self.charts: dict[str, Any] = {
            "months": Columns("months", tip=N_("<b>@value{0,0}</b> loans")),
            "subjects": Bars("subjects", 11, SUBJECT),
        }
        work = partial(seen, self.viewer)
        answer = work(asked)
        self.whole = answer[0].since is not None
        self.controls = Controls()
        self.show(answer)
        reacting(self.controls, signed_in, self.later, work)
        do = partial(my_history.act, self.viewer, address=signed_in.address)
        acting(self.controls, signed_in, do, work, self.later)

    def later(self, answer: tuple[MyHistory, str]) -> None:
        """Show an answer that a thread worked out, with the document's lock where there is one."""
        document = self.charts["months"].figure.document
        if document is not None:
            document.add_next_tick_callback(partial(self.draw, answer))
        self.tell(answer)

    def show(self, answer: tuple[MyHistory, str]) -> None:
        """Show an answer."""
        self.draw(answer)
        self.tell(answer)

    def draw(self, answer: tuple[MyHistory, str]) -> None:
        """Draw the charts; where there is no history any more, nothing stays drawn."""
        for name, chart in self.charts.items():
            chart.show(table_of(answer[0], name).data, {})

    def tell(self, answer: tuple[MyHistory, str]) -> None:
        """Send cards, tables and texts."""
        mine, span = answer
        values = [[key, _(text)] for key, text in my_history.SPANS.items()]
        select = {"key": "span", "label": _("Which"), "values": values, "as": "segments"}
        tables = {name: table_of(mine, name) for name in (*DRAWN, *LISTED)}
        self.controls.param.update(
            query={"span": span},
            options={"flat": True, "selects": [select]},
            cards=mine.cards(),
            notes=notes(mine, span)
            | {f"said_{name}": summary(tables[name], "name", "value") for name in DRAWN},
            tables={
                name: {**sendable(tables[name]), "none": _(OVER if mine.since else HIDDEN)}
                for name in LISTED
            },
            detail={"told": mine.decision()},
            message={},
        )

    def page(self) -> Page:
        """The cells of the page; without a history, the consent alone."""
        told = Cell("told", "What is kept, and what you see of it", kind="drawn")
        if not self.whole:
            return Page(TITLE, source="my_history", controls=self.controls, cells=[told],
                        filters=False)  # fmt: skip
        cells = [
            Cell("loans", "Past loans", my_history.PAST, kind="table", rows=15, download="loans"),
            self.chart("months", N_("Loans by month"), my_history.MONTHS, 7),
            self.chart("subjects", N_("Favourite subjects"), my_history.SUBJECTS, 5),
            Cell("holds", "Past holds", my_history.HOLDS, kind="table", download="holds"),
            told,
        ]
        fresh = freshness(self.viewer, FRESH, READS)
        return Page(TITLE, fresh, source="my_history", controls=self.controls, cells=cells)

    def chart(self, name: str, title: str, definition: str, span: int) -> Cell:
        """A cell with a chart, and the table behind it."""
        chart = self.charts[name]
        columns = my_history.MONTH_COLUMNS if name == "months" else my_history.SUBJECT_COLUMNS
        return Cell(name, title, definition, chart.figures, name, columns, span, download=name)


def seen(viewer: Viewer, asked: dict[str, Any]) -> tuple[MyHistory, str]:
    """What the viewer sees of the span that is asked for."""
    span = str(asked.get("span"))
    span = span if span in my_history.SPANS else "all"
    return my_history.my_history(viewer).within(span), span


def table_of(mine: MyHistory, name: str) -> Any:
    """One table; an empty one where there is no history."""
    return mine.table(name) if mine.since else my_history.EMPTY.table(name)


def notes(mine: MyHistory, span: str) -> dict[str, str]:
    """Texts below the titles."""
    within = _(my_history.SPANS[span])
    return {
        "loans": _("{span}, the last returned first", span=within),
        "months": _("By the month in which you borrowed"),
        "subjects": _("By Dewey class, the most borrowed first"),
        "holds": _("{span}, the last over first", span=within),
        "told": _("You decide, whenever you like"),
    }


def build(signed_in: SignedIn) -> Page:
    """The page of the signed-in member."""
    if signed_in.account.viewer.member_key is None:
        return Page(TITLE, empty=UNLINKED)
    asked = firsts_of(pn.state.session_args)
    return History(signed_in, asked).page()


serving(__name__, build)
