"""Circulation at a glance: cards, days, busy hours, branches and titles."""

from __future__ import annotations

import asyncio
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource

from bi_app import words
from bi_app.auth.sessions import SignedIn
from bi_app.charts.branches import Branches
from bi_app.charts.busy import Busy
from bi_app.charts.daily import Daily
from bi_app.models import measures, store
from bi_app.models.circulation import Circulation, circulation, tables_of
from bi_app.models.freshness import Freshness, freshness
from bi_app.models.measures import MEASURES
from bi_app.models.overview import TITLE_COLUMNS, View
from bi_app.models.report import summary
from bi_app.models.selection import Selection, day_number, from_arguments, select
from bi_app.models.table import Column
from bi_app.models.titles import TitleMonths, titles
from bi_app.pages import views
from bi_app.pages.report import periods
from bi_app.pages.shell import Cell, Controls, Page, every, reacting, serving
from bi_app.words import N_, _

TITLE = N_("Overview")
NOTHING = (
    N_("There is no circulation to show yet"),
    N_(
        "It appears here as soon as loan events have been loaded and passed their contract:"
        " carrel ingest library_loan_events"
    ),
)


class Overview:
    """The page of one session: its charts, and the choice they show."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        self.viewer = signed_in.account.viewer
        self.known, self.title_months, self.fresh = self._read()
        self.compares = len(self.known.codes) > 1
        self.shown: Selection | None = None
        if not self.known.empty:
            self._build(asked)
            reacting(self.controls, signed_in, self.show)
            views.offer(self.controls, signed_in, "/overview")

    def _read(self) -> tuple[Circulation, TitleMonths, Freshness]:
        tables = tables_of(self.viewer)
        self.stamp = store.stamp(self.viewer, tables)
        known = circulation(self.viewer)
        return known, titles(self.viewer, known), freshness(self.viewer, tables)

    def _news(self) -> tuple[Circulation, TitleMonths, Freshness] | None:
        """What was published since; None where nothing was."""
        same = store.stamp(self.viewer, tables_of(self.viewer)) == self.stamp
        return None if same else self._read()

    async def look(self) -> None:
        """Show what a load has changed, so that nobody need open the page again."""
        found = await asyncio.to_thread(self._news)
        if found is None or self.shown is None or found[0].empty:
            return
        self.known, self.title_months, self.fresh = found
        self.daily.reach(self.known.first, self.known.counts.shape[1])
        asked, self.shown = self.shown.as_dict(), None
        self.controls.options = options(self.known)
        self.show(asked)
        self.controls.answered += 1

    def _build(self, asked: dict[str, Any]) -> None:
        known = self.known
        self.daily = Daily(known.first, known.counts.shape[1])
        self.busy = Busy([words.weekday(day) for day in range(7)])
        self.branches = Branches(len(known.codes)) if self.compares else None
        self.titles = ColumnDataSource({c.key: [] for c in TITLE_COLUMNS}, name="titles")
        self.controls = Controls(options=options(known))
        self.show(asked)
        if self.branches:
            self.branches.source.selected.on_change("indices", self._tapped)

    def show(self, asked: dict[str, Any]) -> None:
        """Show what was asked for, and only what changed by it."""
        chosen = select(asked, self.known.bounds)
        if chosen == self.shown:
            return
        view = View(self.known, self.title_months, chosen)
        before, self.shown = self.shown, chosen
        self._show_days(view, before)
        self.busy.show(view.hours, *view.hour_values())
        if self.branches:
            self.branches.show(view.branch_frame())
        if before is None or before.measure != chosen.measure:
            self._paint(chosen.measure)
        self._show_titles(view, before)
        self.controls.param.update(
            cards=view.cards(),
            notes=notes(view) | self.fresh.notes,
            query=chosen.as_dict(),
            message=said(view),
        )

    def _show_days(self, view: View, before: Selection | None) -> None:
        chosen, values = view.chosen, view.day_values()
        start, end = day_number(chosen.start), day_number(chosen.end)
        same = before and (before.branches, before.measure) == (chosen.branches, chosen.measure)
        if same:
            self.daily.move(values, start, end)
        else:
            self.daily.show(values, start, end)

    def _show_titles(self, view: View, before: Selection | None) -> None:
        chosen = view.chosen
        months = (chosen.start.replace(day=1), chosen.end.replace(day=1), chosen.branches)
        if before is None or months != (
            before.start.replace(day=1),
            before.end.replace(day=1),
            before.branches,
        ):
            self.titles.data = view.title_frame()

    def _paint(self, measure: str) -> None:
        for chart in (self.daily, self.busy, self.branches):
            if chart:
                chart.paint(measure, MEASURES[measure].unit)

    def _tapped(self, _attr: str, _old: list[int], new: list[int]) -> None:
        """A click on a branch chooses it alone; a click on the chosen one chooses all again."""
        if not new or self.shown is None or self.branches is None:
            return
        code = self.branches.source.data["code"][new[0]]
        alone = [] if self.shown.branches == (code,) else [code]
        self.controls.query = {**self.shown.as_dict(), "branches": alone}

    def page(self) -> Page:
        """The cells of the page."""
        if self.known.empty:
            return Page(TITLE, self.fresh, empty=NOTHING)
        every(self.look)
        return Page(
            TITLE,
            self.fresh,
            controls=self.controls,
            cells=self._cells(),
            sources=[self.titles],
            views=True,
        )

    def _cells(self) -> list[Cell]:
        cells = [
            Cell(
                "daily",
                "Each day",
                measures.DAILY,
                [self.daily.figure, self.daily.strip],
                "daily",
                DAILY_COLUMNS,
                download="daily",
            ),
            Cell(
                "busy",
                "Busy hours",
                measures.BUSY,
                [self.busy.figure],
                "busy",
                BUSY_COLUMNS,
                span=7 if self.branches else 12,
                download="busy",
            ),
        ]
        if self.branches:
            cells.append(
                Cell(
                    "branches",
                    "Branches",
                    measures.BRANCHES,
                    [self.branches.figure],
                    "branches",
                    BRANCH_COLUMNS,
                    span=5,
                    download="branches",
                )
            )
        cells.append(
            Cell(
                "titles",
                "Top titles",
                measures.TITLES,
                source="titles",
                columns=TITLE_COLUMNS,
                download="titles",
                kind="table",
            )
        )
        return cells


DAILY_COLUMNS = (
    Column("day", "Day", "date"),
    Column("value", "Count", "integer"),
    Column("mean", "7-day mean", "number"),
)
BUSY_COLUMNS = (
    Column("weekday", "Weekday"),
    Column("from", "Hour"),
    Column("mean", "Mean", "number"),
    Column("sum", "Sum", "integer"),
)
BRANCH_COLUMNS = (
    Column("name", "Branch"),
    Column("value", "Count", "integer"),
    Column("before_text", "Period before", "integer"),
    Column("change", "Change", "percent"),
)


def options(known: Circulation) -> dict[str, Any]:
    """What there is to choose from, for the browser."""
    several = len(known.codes) > 1
    return {
        "periods": periods(),
        "first": known.bounds.first.isoformat(),
        "last": known.bounds.last.isoformat(),
        "branches": [list(p) for p in zip(known.codes, known.names, strict=True)]
        if several
        else [],
        "compared": _(measures.CHANGE),
    }


def notes(view: View) -> dict[str, str]:
    """Texts that follow the choice."""
    title = _(MEASURES[view.measure].title)
    chosen = view.chosen
    first, last = words.month(chosen.start), words.month(chosen.end)
    said = {
        f"said_{name}": summary(view.table(name), label, view.measure)
        for name, label in (("daily", "day"), ("busy", "weekday hour"), ("branches", "name"))
    }
    return said | {
        "daily": _("{title}; drag the strip below to move the period", title=title),
        "busy": _("{title}, mean of an hour of the week", title=title),
        "branches": _("{title}; the mark is the period before", title=title),
        "titles": _("By checkouts in {month}", month=last)
        if first == last
        else _("By checkouts in {first} to {last}", first=first, last=last),
    }


def said(view: View) -> dict[str, str]:
    """The message on top, if any."""
    if not view.empty:
        return {}
    if not view.now.any():
        return {"kind": "empty", "text": _("Nothing happened in this period at these branches.")}
    unit = _(MEASURES[view.measure].unit)
    return {"kind": "empty", "text": _("No {unit} in this period at these branches.", unit=unit)}


def build(signed_in: SignedIn) -> Page:
    """The overview for one person, with the choice that the address names."""
    return Overview(signed_in, from_arguments(pn.state.session_args)).page()


serving(__name__, build)
