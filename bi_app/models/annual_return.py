"""The figures that an annual return asks for, of one year beside the year before."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bi_app import words
from bi_app.models import report
from bi_app.models.circulation import Circulation, circulation, measured
from bi_app.models.measures import MEASURES
from bi_app.models.report import Card, Report, percent, scope, table_of
from bi_app.models.selection import Bounds, Select, Selection, day_number
from bi_app.models.staffing import OPENED
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.models.titles import collection_name
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer

TABLES = (
    "gold.library_circulation",
    "gold.library_title_months",
    "gold.library_stock_years",
    "gold.library_hold_days",
    "gold.library_fine_months",
)
RETURN = N_(
    "What national returns ask of a library's circulation, stock and services, by calendar year;"
    " each line says how it is worked out. A year that still runs, or in which the data begins, is"
    " counted as far as the data goes and compared with none. Visits, programmes,"
    " interlibrary loans, electronic resources and staff are not on record here; members have a"
    " page of their own."
)
BY_COLLECTION = N_(
    "Loans of the year by the collection of the title, and the stock: copies added and withdrawn in"
    " the year and held at its end. Loans of copies that the catalogue lacks are left out."
)
COLUMNS = (
    Column("part", "Part"),
    Column("name", "Figure"),
    Column("value", "This year", "integer"),
    Column("before", "Year before", "integer"),
    Column("change", "Change, %", "number"),
    Column("how", "How it is worked out"),
)
COLLECTION_COLUMNS = (
    Column("name", "Collection"),
    Column("checkouts", "Checkouts", "integer"),
    Column("renewals", "Renewals", "integer"),
    Column("added", "Added", "integer"),
    Column("withdrawn", "Withdrawn", "integer"),
    Column("held", "Held at the end", "integer"),
)
CHILDREN = ("junior", "juvenile", "children", "young")
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Kept:
    """What everybody of a scope sees, as rows of the queries of the same names."""

    lent: Rows
    stock: Rows
    holds: Rows
    fines: Rows


@dataclass(frozen=True)
class Years:
    """Circulation by hour, and what else is counted by year."""

    circulation: Circulation
    kept: Kept

    @property
    def bounds(self) -> Bounds:
        """What can be chosen."""
        return self.circulation.bounds

    @property
    def branches(self) -> Mapping[str, str]:
        """Names of the branches by code."""
        return self.circulation.branches

    @cached_property
    def years(self) -> list[int]:
        """The years that the data touches: the newest whole one first, then from new to old."""
        first, last = self.bounds.first, self.bounds.last
        found = list(range(last.year, first.year - 1, -1))
        whole = [y for y in found if last >= dt.date(y, 12, 31)]
        return [*whole[:1], *(y for y in found if y not in whole[:1])]

    def whole(self, year: int) -> bool:
        """Whether the data covers a year from its first day to its last."""
        first, last = dt.date(year, 1, 1), dt.date(year, 12, 31)
        return self.bounds.first <= first and last <= self.bounds.last


def years(viewer: Viewer) -> Years | None:
    """What a viewer may know by year; None where there is no circulation."""
    known = circulation(viewer)
    return None if known.empty else Years(known, held(viewer, TABLES[1:], load_kept))


def load_kept(viewer: Viewer) -> Kept:
    """Read what everybody of this scope sees."""
    names = ("lent_by_collection", "stock_by_year", "hold_days", "fine_months")
    return Kept(*(rows(viewer, name) for name in names))


def selects(known: Years) -> tuple[Select, ...]:
    """The years."""
    return (Select("year", "Year", tuple((str(y), str(y)) for y in known.years)),)


def _sum(chosen: Selection, found: Rows, key: str, **wanted: Any) -> float:
    """The sum of a column at the chosen branches, where other columns have the wanted values."""
    total = 0.0
    for row in found:
        if chosen.branches and row["branch_code"] not in chosen.branches:
            continue
        years = {k: _year(row[k]) for k in wanted.keys() & {"placed_on", "month"}}
        if all(years.get(k, row[k]) == v for k, v in wanted.items()):
            total += float(row[key])
    return total


def _year(day: dt.date) -> int:
    return day.year


def _days(known: Years, chosen: Selection, year: int) -> tuple[Any, Any]:
    """Counts by measure, and opened hours, of a year at the chosen branches."""
    hours = known.circulation
    low = max(day_number(dt.date(year, 1, 1)) - hours.first, 0)
    high = max(min(day_number(dt.date(year + 1, 1, 1)) - hours.first, hours.counts.shape[1]), low)
    places: Any = [hours.codes.index(c) for c in chosen.branches] or slice(None)
    here = slice(low, high)
    return hours.by_day[places, here].sum(axis=(0, 1), dtype=np.int64), hours.opened[places, here]


def figures(known: Years, chosen: Selection, year: int) -> list[tuple[str, str, float, str]]:
    """Every line of the return for a year: part, name, value, and how it is worked out."""
    counts, opened = _days(known, chosen, year)
    kept = known.kept
    children = sum(
        _sum(chosen, kept.lent, "checkouts", year=year, collection_code=code)
        for code in {r["collection_code"] for r in kept.lent}
        if any(word in code for word in CHILDREN)
    )
    circulated = [
        (
            _("Circulation"),
            _(MEASURES[m].title),
            int(measured(counts, m)),
            _(MEASURES[m].definition),
        )
        for m in ("checkouts", "renewals", "total", "in_house_uses")
    ]
    return [
        (_("Service points"), _("Branches with an opened hour"),
         int(opened.any(axis=(1, 2)).sum()),
         _(OPENED)),
        (_("Service points"), _("Opened hours"), int(opened.sum()), _(OPENED)),
        *circulated,
        (_("Circulation"), _("Checkouts of children's material"), children,
         _("Checkouts of titles whose collection's code holds one of: {codes}.",
           codes=", ".join(CHILDREN))),
        (_("Stock"), _("Copies held at the end of the year"),
         _sum(chosen, kept.stock, "held", year=year),
         _("Acquired by then and not withdrawn by then.")),
        (_("Stock"), _("Copies added"), _sum(chosen, kept.stock, "added", year=year),
         _("Day of acquisition in the year.")),
        (_("Stock"), _("Copies withdrawn"), _sum(chosen, kept.stock, "withdrawn", year=year),
         _("Day of withdrawal in the year.")),
        (_("Holds"), _("Holds placed"), _sum(chosen, kept.holds, "placed", placed_on=year),
         _("Placed in the year, whatever became of them.")),
        (_("Holds"), _("Holds collected"), _sum(chosen, kept.holds, "collected", placed_on=year),
         _("Placed in the year and collected since.")),
        (_("Fines"), _("Fines charged"),
         _sum(chosen, kept.fines, "amount", month=year, kind="charged"),
         _("Sum of the charges of the year, in the library's currency.")),
        (_("Fines"), _("Fines paid"),
         _sum(chosen, kept.fines, "amount", month=year, kind="paid"),
         _("Sum of the payments of the year, in the library's currency.")),
    ]  # fmt: skip


def annual(known: Years, chosen: Selection) -> Table:
    """The return of the chosen year beside the year before."""
    year = int(chosen.get("year"))
    comparable = known.whole(year) and known.whole(year - 1)
    before = figures(known, chosen, year - 1) if comparable else None
    records = []
    for place, (part, name, value, how) in enumerate(figures(known, chosen, year)):
        earlier = before[place][2] if before else None
        more = None if earlier is None else percent(value - earlier, earlier)
        records.append({
            "part": part, "name": name, "value": round(value), "change": more, "how": how,
            "before": None if earlier is None else round(earlier),
        })  # fmt: skip
    title = _("Annual return {year}", year=str(year))
    return table_of("annual", title, COLUMNS, records, notes(known, chosen, RETURN))


def by_collection(known: Years, chosen: Selection) -> Table:
    """Loans and stock of the year by collection, the most lent first."""
    year = int(chosen.get("year"))
    sums: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("checkouts", "renewals", "added", "withdrawn", "held"), 0)
    )
    for row in (*known.kept.lent, *known.kept.stock):
        here = not chosen.branches or row["branch_code"] in chosen.branches
        if here and row["year"] == year:
            for key in sums[row["collection_code"]].keys() & row.keys():
                sums[row["collection_code"]][key] += row[key]
    order = sorted(sums, key=lambda code: -sums[code]["checkouts"])
    records = [{"name": collection_name(code), **sums[code]} for code in order]
    covered = notes(known, chosen, BY_COLLECTION)
    return table_of(
        "collections",
        _("By collection {year}", year=str(year)),
        COLLECTION_COLUMNS,
        records,
        covered,
    )


def notes(known: Years, chosen: Selection, definition: str) -> list[str]:
    """What a table covers and means."""
    return [*scope(chosen, known, selects(known)), definition]


def cards(known: Years, chosen: Selection) -> list[Card]:
    """The four figures that every return begins with."""
    data = annual(known, chosen).data
    wanted = (_(MEASURES["total"].title), _("Opened hours"),
              _("Copies held at the end of the year"), _("Holds placed"))  # fmt: skip
    made = []
    for name in wanted:
        place = data["name"].index(name)
        made.append(report.card(f"line{place}", name, words.whole(data["value"][place]),
                                data["how"][place], change=data["change"][place]))  # fmt: skip
    return made


REPORT: Report[Years] = Report(
    "annual_return",
    reads=TABLES,
    load=years,
    cards=cards,
    measures={"annual": annual, "collections": by_collection},
    selects=selects,
    periods=False,
)
