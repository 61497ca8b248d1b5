"""What a printed report holds: the page's own figures and tables, for one viewer and one choice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bi_app.auth.roles import PAGES as RULES
from bi_app.auth.roles import ROLE_NAMES
from bi_app.models.circulation import Circulation, circulation, tables_of
from bi_app.models.export import to_book
from bi_app.models.freshness import Freshness, freshness
from bi_app.models.measures import MEASURES
from bi_app.models.overview import View
from bi_app.models.paper.drawing import Drawing
from bi_app.models.paper.pages import OVERVIEW, OVERVIEW_DRAWINGS, PRINTED, Printed
from bi_app.models.report import Card, moving_mean, plain, scope, span
from bi_app.models.selection import Selection, day_number, from_arguments, select
from bi_app.models.table import Table
from bi_app.models.titles import titles
from bi_app.words import _
from warehouse.access import Viewer
from warehouse.settings import settings

Arguments = Mapping[str, Sequence[bytes]]
DAYS = 7  # of the mean of days


class Section(NamedTuple):
    """A table and how it is drawn."""

    table: Table
    drawing: Drawing | None


@dataclass(frozen=True)
class Paper:
    """A report for one viewer: `filters` say in words what was chosen."""

    page: str
    title: str
    audience: str
    filters: Sequence[str]
    cards: Sequence[Card]
    sections: Sequence[Section]
    freshness: Freshness
    measure: str
    made_at: dt.datetime

    @property
    def rows(self) -> int:
        """How many rows its tables have."""
        return sum(len(s.table) for s in self.sections)

    @property
    def files_name(self) -> str:
        """The name of its files, without a kind."""
        return f"carrel-{self.page.replace('_', '-')}-{self.made_at:%Y-%m-%d}"

    def pdf(self) -> bytes:
        """The report as a PDF, on the paper that the settings name."""
        from bi_app.models.paper.print import printed  # fpdf2 takes half a second to import

        return printed(self, settings().paper)

    def xlsx(self) -> bytes:
        """Its tables as a workbook, a sheet each."""
        return to_book([s.table for s in self.sections], (self.title, *self.filters, self.standing))

    @property
    def standing(self) -> str:
        """How fresh and sound the figures are, in a sentence."""
        return f"{self.freshness.footer}."


def paper(
    viewer: Viewer, page: str, arguments: Arguments, *, only: str = "", whole: bool = False
) -> Paper:
    """The report of a page for the choice in a URL's arguments.

    Args:
        viewer: whose rows are counted.
        page: one of `paper.pages.PAGES`.
        arguments: as in the page's address; what makes no sense becomes the default.
        only: the name of one table, without the others and the figures.
        whole: tables as long as a file holds them, where that is more than the page shows.

    Raises:
        KeyError: there is no such page or table, or nothing is known yet.
    """
    if page == OVERVIEW:
        found = _overview(viewer, arguments, only)
    else:
        found = _report(viewer, PRINTED[page], arguments, only, whole)
    if not found.sections:
        raise KeyError(only)
    return found


def _report(
    viewer: Viewer, printed: Printed, arguments: Arguments, only: str, whole: bool
) -> Paper:
    report = printed.report
    known = report.load(viewer)
    if known is None:
        raise KeyError(report.name)
    selects = report.selects(known)
    chosen = report.choose(known, from_arguments(arguments, [s.key for s in selects]))
    made = {**report.measures, **(report.longer if whole else {})}
    sections = [
        Section(plainly(work(known, chosen)), printed.drawings.get(name))
        for name, work in made.items()
        if only in ("", name)
    ]
    words = [span(chosen)] if report.periods else []
    words += scope(chosen, known, selects)
    return Paper(
        report.name,
        _(RULES[f"/{report.name}"].title),
        audience(viewer, known.branches),
        [*words, *_measure(chosen, printed.measured)],
        [] if only else report.cards(known, chosen),
        sections,
        freshness(viewer, tuple(report.reads)),
        chosen.measure,
        now(),
    )


def _overview(viewer: Viewer, arguments: Arguments, only: str) -> Paper:
    known = circulation(viewer)
    if known.empty:
        raise KeyError(OVERVIEW)
    chosen = select(from_arguments(arguments), known.bounds)
    view = View(known, titles(viewer, known), chosen)
    names = [n for n in (*OVERVIEW_DRAWINGS, "titles") if n != "branches" or len(known.codes) > 1]
    sections = [
        Section(_drawable(view, n), OVERVIEW_DRAWINGS.get(n)) for n in names if only in ("", n)
    ]
    return Paper(
        OVERVIEW,
        _(RULES[f"/{OVERVIEW}"].title),
        audience(viewer, _names(known)),
        [span(chosen), *scope(chosen, known), *_measure(chosen, True)],
        [] if only else view.cards(),
        sections,
        freshness(viewer, tables_of(viewer)),
        chosen.measure,
        now(),
    )


def _drawable(view: View, name: str) -> Table:
    """A table of the overview; that of days with the mean that its chart draws as a line."""
    table = view.table(name)
    if name != "daily":
        return table
    start = day_number(view.chosen.start) - view.circulation.first
    means = moving_mean(view.day_values(), DAYS)[start : start + len(table)]
    return replace(table, data={**table.data, "mean": means.tolist()})


def _names(known: Circulation) -> Mapping[str, str]:
    return dict(zip(known.codes, known.names, strict=True))


def _measure(chosen: Selection, measured: bool) -> list[str]:
    if not measured:
        return []
    return [_("Measure: {measure}", measure=_(MEASURES[chosen.measure].title))]


def plainly(table: Table) -> Table:
    """A table without what is only drawn on a page, but with what its drawing needs."""
    return replace(table, columns=plain(table).columns)


def audience(viewer: Viewer, names: Mapping[str, str]) -> str:
    """For whom it is: role and branches, and nobody's name."""
    role = _(ROLE_NAMES[viewer.role])
    if not viewer.branches:
        return role
    return f"{role}, {', '.join(names.get(code, code) for code in viewer.branches)}"


def now() -> dt.datetime:
    """The time of day where the library is."""
    return dt.datetime.now(ZoneInfo(settings().timezone))


def figures(found: Paper) -> list[tuple[str, str, str]]:
    """The figures as (title, value, what is below it), for a text."""
    from bi_app.models.paper.words import below

    return [(str(c["title"]), str(c["value"]), below(c)) for c in found.cards]


def address(page: str, choice: Mapping[str, Any]) -> str:
    """The page's address with a choice."""
    from urllib.parse import urlencode

    asked = urlencode(choice, doseq=True)
    return f"{settings().app_address}/{page}{'?' if asked else ''}{asked}"
