"""A page made of a report: choices, cards, and parts that each show one measure.

A part with a chart has the same table behind it; one without is the table itself. A page file names
its report and parts, and nothing more. Its figures are worked out in a thread, and anew when a load
lands while the page is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import panel as pn
from bokeh.models import ColumnDataSource

from bi_app.auth.sessions import SignedIn
from bi_app.models import measures, report, store
from bi_app.models.freshness import Freshness, freshness
from bi_app.models.measures import MEASURES
from bi_app.models.report import Card, Known, Report
from bi_app.models.selection import PERIODS, Select, Selection, from_arguments
from bi_app.models.table import Column, Table
from bi_app.pages import views
from bi_app.pages.shell import LOOK_MS, Cell, Controls, Page, every, reacting, sendable
from bi_app.words import _
from warehouse.access import Viewer

LIVE_MS = 600


class Chart(Protocol):
    """What draws a table: built once a session, then shown other data."""

    @property
    def source(self) -> ColumnDataSource:
        """The columns of the table."""

    @property
    def figures(self) -> Sequence[Any]:
        """The models to draw."""

    @property
    def picks(self) -> str:
        """What a click chooses; nothing where it chooses nothing."""

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any], /) -> None:
        """Show the columns of a table, as worked out for a choice."""

    def choice(self, place: int, choice: Mapping[str, Any], /) -> dict[str, Any]:
        """What a click on a row's mark chooses."""

    def paint(self, series: str, unit: str, /) -> None:
        """Take the colour and unit of the chosen measure."""


@dataclass(frozen=True)
class Part:
    """One measure on a page, by its `name` in the report.

    `chart` makes the chart of a session from what is known; `drawn` what the browser draws of a
    table itself; `says` names the columns that the summary is about: what is counted, and by what.
    """

    name: str
    title: str
    definition: str
    columns: Sequence[Column] = ()
    chart: Callable[[Any], Chart] | None = None
    says: tuple[str, str] = ("value", "name")
    span: int = 12
    rows: int = 10
    search: bool = True
    none: str = "Nothing in this selection."
    drawn: Callable[[Table], Any] | None = None


class Answer(NamedTuple):
    """What is shown for a choice."""

    chosen: Selection
    cards: Sequence[Card]
    tables: Mapping[str, Table]


@dataclass(frozen=True)
class Layout:
    """How a report becomes a page: its title, parts, and what stands there without data.

    `notes` writes the line below each part's title, `beside` shows in a chart what is no table.
    """

    title: str
    report: Report[Any]
    parts: Sequence[Part]
    nothing: tuple[str, str]
    notes: Callable[[Any, Answer], Mapping[str, str]] = lambda *_: {}
    beside: Callable[[Any, Selection, Mapping[str, Any]], None] | None = None
    measures: bool = False


class ReportPage:
    """The page of one session."""

    def __init__(self, layout: Layout, signed_in: SignedIn, asked: Mapping[str, Any]) -> None:
        self.layout, self.report = layout, layout.report
        self.viewer = signed_in.account.viewer
        self.tables = tuple(self.report.reads)
        self.known, self.fresh = self._read()
        self.shown: Selection | None = None
        self.charts: dict[str, Chart] = {}
        if self.known is not None:
            self._build(asked)
            reacting(self.controls, signed_in, self._later, self.answer)
            views.offer(self.controls, signed_in, f"/{self.report.name}")

    def _read(self) -> tuple[Any, Freshness]:
        self.stamp = store.stamp(self.viewer, self.tables)
        return self.report.load(self.viewer), freshness(self.viewer, self.tables)

    def _build(self, asked: Mapping[str, Any]) -> None:
        self.charts = {p.name: p.chart(self.known) for p in self.layout.parts if p.chart}
        self.controls = Controls(options=options(self.report, self.known))
        self.show(self.answer(asked))
        for name, chart in self.charts.items():
            if chart.picks:
                chart.source.selected.on_change("indices", partial(self._tapped, name))

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Work out everything for a choice."""
        chosen = self.report.choose(self.known, asked)
        tables = {name: work(self.known, chosen) for name, work in self.report.measures.items()}
        return Answer(chosen, self.report.cards(self.known, chosen), tables)

    def _later(self, answer: Answer) -> None:
        """Show an answer that a thread worked out: with the document's lock, where there is one."""
        document = next((f.document for c in self.charts.values() for f in c.figures), None)
        if document is None:
            self.show(answer)
            return
        document.add_next_tick_callback(partial(self._draw, answer))
        self._tell(answer)

    def show(self, answer: Answer) -> None:
        """Show an answer."""
        self._draw(answer)
        self._tell(answer)

    def _draw(self, answer: Answer) -> None:
        chosen, choice = answer.chosen, answer.chosen.as_dict()
        measure = MEASURES[chosen.measure]
        painted = self.shown is not None and self.shown.measure == chosen.measure
        for name, chart in self.charts.items():
            if self.layout.measures and not painted:
                chart.paint(measure.name, measure.unit)
            chart.show(answer.tables[name].data, choice)
        if self.layout.beside:
            self.layout.beside(self.known, chosen, self.charts)
        self.shown = chosen

    def _tell(self, answer: Answer) -> None:
        chosen, detail = answer.chosen, {}
        tables: dict[str, Any] = {}
        notes = self.fresh.notes
        for part in self.layout.parts:
            table = answer.tables[part.name]
            if part.chart is None:
                tables[part.name] = {**sendable(table), "none": _(part.none)}
            if part.chart or part.drawn:
                notes[f"said_{part.name}"] = report.summary(table, part.says[1], part.says[0])
            if part.drawn:
                detail[part.name] = part.drawn(table)
        notes |= self.layout.notes(self.known, answer)
        self.controls.param.update(
            cards=list(answer.cards), notes=notes, tables=tables, detail=detail,
            query=chosen.as_dict(), message={},
        )  # fmt: skip

    def _tapped(self, name: str, _attr: str, _old: list[int], new: list[int]) -> None:
        if new and self.shown is not None:
            choice = self.shown.as_dict()
            self.controls.query = {**choice, **self.charts[name].choice(new[0], choice)}

    def news(self) -> Answer | None:
        """The same choice on what was published since; None where nothing was."""
        if self.shown is None or store.stamp(self.viewer, self.tables) == self.stamp:
            return None
        known, self.fresh = self._read()
        self.known = known if known is not None else self.known
        return self.answer(self.shown.as_dict())

    async def look(self) -> None:
        """Show what a load has changed, so that nobody need open the page again."""
        answer = await asyncio.to_thread(self.news)
        if answer is not None:
            self.controls.options = options(self.report, self.known)
            self._later(answer)
            self.controls.answered += 1

    def page(self) -> Page:
        """The cells of the page."""
        if self.known is None:
            return Page(self.layout.title, self.fresh, empty=self.layout.nothing)
        every(self.look, LIVE_MS if store.streamed(self.viewer, self.tables) else LOOK_MS)
        return Page(
            self.layout.title, self.fresh, source=self.report.name, controls=self.controls,
            cells=[self._cell(p) for p in self.layout.parts], views=True,
        )  # fmt: skip

    def _cell(self, part: Part) -> Cell:
        shared: dict[str, Any] = {
            "span": part.span,
            "download": part.name,
            "rows": part.rows,
            "search": part.search,
        }
        if part.chart is None:
            kind = "chart" if part.drawn else "table"
            return Cell(part.name, part.title, part.definition, kind=kind, **shared)
        chart = self.charts[part.name]
        return Cell(
            part.name, part.title, part.definition, chart.figures, chart.source.name,
            part.columns, **shared,
        )  # fmt: skip


def options(report: Report[Any], known: Known) -> dict[str, Any]:
    """What there is to choose from, for the browser."""
    bounds, names = known.bounds, known.branches
    told: dict[str, Any] = {
        "first": bounds.first.isoformat(),
        "last": bounds.last.isoformat(),
        "branches": [[c, names[c]] for c in bounds.codes] if len(names) > 1 else [],
        "selects": [sent(s) for s in report.selects(known)],
        "compared": _(measures.CHANGE),
    }
    return {**told, "periods": periods()} if report.periods else told


def periods() -> dict[str, str]:
    """The periods to choose from, with their names."""
    return {key: _(name) for key, name in PERIODS.items()}


def sent(select: Select) -> dict[str, Any]:
    """A select as the browser draws it."""
    values = [[value, _(text)] for value, text in select.values]
    return {"key": select.key, "label": _(select.label), "values": values,
            "as": select.look, "default": select.default}  # fmt: skip


def prepare(layout: Layout, viewer: Viewer) -> None:
    """Hold what the page needs, in a thread, before it is built."""
    layout.report.load(viewer)


def build(layout: Layout, signed_in: SignedIn) -> Page:
    """The page for one person, with the choice that the address names."""
    arguments = pn.state.session_args
    known = layout.report.load(signed_in.account.viewer)
    keys = [s.key for s in layout.report.selects(known)] if known is not None else []
    return ReportPage(layout, signed_in, from_arguments(arguments, keys)).page()
