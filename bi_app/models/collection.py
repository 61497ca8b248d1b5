"""The stock: how it is used, how old it is, what to weed, and what is bought beside demand."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from bi_app import words
from bi_app.models import report
from bi_app.models.lending import NOT_HELD, dewey_name, named
from bi_app.models.my_loans import in_currency
from bi_app.models.report import (
    HALF,
    Card,
    Report,
    number,
    percent,
    quantile,
    ratio,
    rounded,
    scope,
    share,
    table_of,
)
from bi_app.models.selection import Bounds, Select, Selection
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.models.titles import collection_name
from bi_app.queries import rows
from bi_app.words import N_, _, joined, ngettext
from warehouse.access import Viewer

TABLES = (
    "gold.library_stock_use",
    "gold.library_item_use",
    "gold.library_acquisitions",
    "gold.library_weeding_list",
)
SUMMED = (
    "holdings", "circulation", "renewals", "used_1y", "used_3y", "used_5y", "never_used",
    "arrived_1y_2y", "dead_on_arrival",
)  # fmt: skip
BOUGHT = ("orders", "copies", "copies_open", "spent", "orders_received", "delivery_days",
          "circulation")  # fmt: skip
LISTED, SAVED = 200, 10_000
USE = N_(
    "Loans a copy a year: checkouts of the last 365 days, renewals excluded, divided by the copies"
    " held now. Loans of copies withdrawn since count."
)
TURNOVER = joined(USE, N_("The mark is the turnover of the whole stock."))
RELATIVE = N_(
    "A part's share of the circulation divided by its share of the holdings. Above 1 it is used"
    " more than its size says: let it grow; below 1 weed it or promote it."
)
WITHIN = N_(
    "Copies held whose last checkout is at most 1, 3 or 5 years ago, and those without any on"
    " record, as shares of the copies held. Dead on arrival: of the copies added one to two years"
    " ago, those lent at most once."
)
AGE = N_(
    "Copies held by decade of publication. The median age is counted to the year of the newest"
    " event; copies whose year is unknown are shown as such and left out of the median."
)
WEEDING = N_(
    "Candidates by CREW’s rule for their class: age / use / MUSTIE, that is years since"
    " publication, years since the last loan, and what only a look at the shelf can tell"
    " (misleading, ugly, superseded, trivial, irrelevant, elsewhere); X where one does not apply."
    " “Age and use” lists what meets every part of its rule, “either” what meets one. Nothing is"
    " removed by this list."
)
BUYING = N_(
    "Orders of the last 365 days beside the checkouts of the same days. Cost of a loan: what was"
    " spent divided by the checkouts. Demand: the share of the checkouts divided by the share of"
    " what was spent; above 1 a collection is asked for more than it is bought."
)
USE_COLUMNS = (
    Column("name", "Part of the stock"),
    Column("holdings", "Holdings", "integer"),
    Column("circulation", "Checkouts", "integer"),
    Column("turnover", "Turnover", "ratio"),
    Column("relative_use", "Relative use", "ratio"),
    Column("share_holdings", "Holdings, %", "number"),
    Column("share_circulation", "Checkouts, %", "number"),
)
IDLE_COLUMNS = (
    Column("name", "Part of the stock"),
    Column("holdings", "Holdings", "integer"),
    Column("within_1y", "1 year, %", "number"),
    Column("within_3y", "3 years, %", "number"),
    Column("within_5y", "5 years, %", "number"),
    Column("never", "Never, %", "number"),
    Column("dead", "Dead on arrival, %", "number"),
)
AGE_COLUMNS = (
    Column("name", "Published"),
    Column("value", "Copies", "integer"),
    Column("share", "Share, %", "number"),
)
WEED_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("dewey", "Dewey"),
    Column("collection", "Collection"),
    Column("branch", "Branch"),
    Column("item_code", "Copy"),
    Column("formula", "Rule"),
    Column("published_year", "Year"),
    Column("unused_years", "Years unused", "number"),
    Column("checkouts", "Loans", "integer"),
    Column("copies", "Copies held", "integer"),
)
MEETS = Select("meets", "Weed by", (("both", "Age and use"), ("either", "Either")), "segments")
DIVISIONS = Select("by", "By", (("collection", "Collection"), ("dewey", "Dewey class")), "segments")


def buying_columns() -> tuple[Column, ...]:
    """The columns of purchases; amounts name the currency, where one is set."""
    return (
        Column("name", "Collection"),
        Column("copies", "Copies ordered", "integer"),
        Column("copies_open", "Still open", "integer"),
        Column("spent", in_currency("Spent"), "money"),
        Column("circulation", "Checkouts", "integer"),
        Column("cost", in_currency("Cost of a loan"), "money"),
        Column("demand", "Demand", "ratio"),
        Column("delivery", "Days to arrive", "number"),
    )


def part_name(division: str, part: str) -> str:
    """A part of the stock as words; Dewey's classes in the language of the task."""
    return (
        named("dewey", dewey_name(part.zfill(3))) if division == "dewey" else collection_name(part)
    )


@dataclass(frozen=True)
class Held:
    """What everybody of a scope sees of the stock, as rows of the queries of the same names."""

    branches: dict[str, str]
    stock: Sequence[Mapping[str, Any]]
    years: Sequence[Mapping[str, Any]]
    bought: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Collection:
    """The stock as one viewer sees it; lists are asked for as that viewer."""

    viewer: Viewer
    held: Held

    @property
    def branches(self) -> Mapping[str, str]:
        """Names of the branches by code."""
        return self.held.branches

    @cached_property
    def as_of(self) -> dt.date:
        """The day of the newest event."""
        newest: dt.date = max(r["as_of_on"] for r in self.held.stock)
        return newest

    @property
    def bounds(self) -> Bounds:
        """The branches; the stock is as it stands, without a period."""
        return Bounds(self.as_of, self.as_of, tuple(self.held.branches))

    @cached_property
    def parts(self) -> dict[str, str]:
        """Names of the parts of the stock by `division:part`."""
        found = sorted({(r["division"], r["part"]) for r in self.held.stock})
        return {f"{division}:{part}": part_name(division, part) for division, part in found}

    def sums(self, chosen: Selection, division: str) -> dict[str, dict[str, int]]:
        """Sums of the chosen branches by part of the stock."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SUMMED, 0))
        for row in _at(chosen, self.held.stock):
            if row["division"] == division:
                for key in SUMMED:
                    found[row["part"]][key] += row[key]
        return found


def _at(chosen: Selection, found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the chosen branches."""
    return [r for r in found if not chosen.branches or r["branch_code"] in chosen.branches]


def collection(viewer: Viewer) -> Collection | None:
    """The stock that a viewer may see; None where there is none."""
    found = held(viewer, TABLES, load_held)
    return Collection(viewer, found) if found.stock else None


def load_held(viewer: Viewer) -> Held:
    """Read what everybody of this scope sees."""
    stock = rows(viewer, "stock")
    codes = sorted({r["branch_code"] for r in stock})
    names = rows(viewer, "branch_names", {"codes": codes})
    return Held(
        {r["branch_code"]: r["name"] for r in names},
        stock,
        rows(viewer, "stock_years"),
        rows(viewer, "acquisitions"),
    )


def selects(known: Collection) -> tuple[Select, ...]:
    """What can be chosen besides branches."""
    return (DIVISIONS, Select("part", "Part", (("", "All"), *known.parts.items())), MEETS)


def use(known: Collection, chosen: Selection, by: str) -> Table:
    """Turnover and relative use of each part, the highest `by` first."""
    division = chosen.get("by")
    sums = known.sums(chosen, division)
    parts = list(sums)
    holdings, lent = (np.array([sums[p][k] for p in parts]) for k in ("holdings", "circulation"))
    of_holdings = ratio(holdings, np.full(len(parts), holdings.sum()))
    of_lent = ratio(lent, np.full(len(parts), lent.sum()))
    figures = {
        "turnover": ratio(lent, holdings),
        "relative_use": ratio(of_lent, of_holdings),
        "share_holdings": of_holdings * 100,
        "share_circulation": of_lent * 100,
    }
    order = np.argsort(-np.nan_to_num(figures[by], nan=-1), kind="stable")
    data: dict[str, list[Any]] = {
        "code": [f"{division}:{parts[i]}" for i in order],
        "name": [part_name(division, parts[i]) for i in order],
        "holdings": [int(holdings[i]) for i in order],
        "circulation": [int(lent[i]) for i in order],
        "whole": [round(float(lent.sum() / max(holdings.sum(), 1)), 2)] * len(parts),
        **{key: rounded(values[order], 2) for key, values in figures.items()},
    }
    title = {
        "turnover": N_("Turnover of the stock"),
        "relative_use": N_("Relative use of the stock"),
    }[by]
    definition = {"turnover": TURNOVER, "relative_use": RELATIVE}[by]
    return Table(by, title, USE_COLUMNS, data, notes(known, chosen, definition))


def idle(known: Collection, chosen: Selection) -> Table:
    """When the copies of each part were last used."""
    division, records = chosen.get("by"), []
    for part, n in sorted(known.sums(chosen, division).items()):
        held_now = n["holdings"]
        records.append({
            "name": part_name(division, part), "holdings": held_now,
            **{f"within_{y}y": percent(n[f"used_{y}y"], held_now) for y in (1, 3, 5)},
            "never": percent(n["never_used"], held_now),
            "dead": percent(n["dead_on_arrival"], n["arrived_1y_2y"]),
        })  # fmt: skip
    return table_of("idle", "Last use", IDLE_COLUMNS, records, notes(known, chosen, WITHIN))


def _years(known: Collection, chosen: Selection) -> list[Mapping[str, Any]]:
    """Copies by year of the chosen branches and part of the stock."""
    division, _, part = chosen.get("part").partition(":")
    key = {"collection": "collection_code", "dewey": "dewey_class"}.get(division, "")
    return [r for r in _at(chosen, known.held.years) if not key or str(r[key]) == part]


def age(known: Collection, chosen: Selection) -> Table:
    """Copies held by decade of publication, the newest first, unknown years last."""
    decades: dict[int, int] = defaultdict(int)
    for row in _years(known, chosen):
        year = row["published_year"]
        decades[-1 if year is None else year // 10 * 10] += row["items"]
    order = sorted(decades, reverse=True)
    whole = sum(decades.values())
    data: dict[str, list[Any]] = {
        "name": [_("Unknown") if d < 0 else _("{decade}s", decade=str(d)) for d in order],
        "value": [decades[d] for d in order],
        "share": [percent(decades[d], whole) for d in order],
    }
    return Table("age", "Copies by decade", AGE_COLUMNS, data, notes(known, chosen, AGE))


def median_age(known: Collection, chosen: Selection) -> float | None:
    """Median age of the copies whose year is known, in years; None without any."""
    years = ((r["published_year"], r["items"]) for r in _years(known, chosen))
    return quantile(((known.as_of.year - y, n) for y, n in years if y is not None), HALF)


def weeding(known: Collection, chosen: Selection, limit: int = LISTED) -> Table:
    """The first candidates for weeding, the longest unused on top."""
    found = candidates(known, chosen, limit)
    for row in found:
        row["collection"] = collection_name(row["collection"])
    covered = notes(known, chosen, WEEDING)
    return table_of("weeding", "Weeding list", WEED_COLUMNS, found, covered)


def candidates(known: Collection, chosen: Selection, limit: int) -> list[dict[str, Any]]:
    """Rows of the weeding list; each says the `total`."""
    division, _, part = chosen.get("part").partition(":")
    asked = {
        "branches": list(chosen.branches) or None,
        "collection": part if division == "collection" else None,
        "dewey": int(part) if division == "dewey" else None,
        "both": chosen.get("meets") == "both",
        "limit": limit,
    }
    return rows(known.viewer, "weeding", asked)


def buying(known: Collection, chosen: Selection) -> Table:
    """What was bought for each collection beside what was lent of it."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(BOUGHT, 0))
    for row in _at(chosen, known.held.bought):
        for key in BOUGHT:
            sums[row["collection_code"]][key] += row[key]
    spent, lent = (sum(n[k] for n in sums.values()) for k in ("spent", "circulation"))
    records = [_bought(code, n, spent, lent) for code, n in sums.items()]
    records.sort(key=lambda r: -(r["demand"] or 0))
    covered = notes(known, chosen, BUYING)
    return table_of("buying", "Acquisitions and demand", buying_columns(), records, covered)


def _bought(code: str, n: Mapping[str, float], spent: float, lent: float) -> dict[str, Any]:
    of_spent, of_lent = n["spent"] / spent if spent else 0, n["circulation"] / lent if lent else 0
    arrived = n["orders_received"]
    return {
        "name": _(NOT_HELD) if code == "unknown" else collection_name(code),
        **{key: int(n[key]) for key in ("copies", "copies_open", "circulation")},
        "spent": round(n["spent"], 2),
        "cost": round(n["spent"] / n["circulation"], 2) if n["circulation"] else None,
        "demand": round(of_lent / of_spent, 2) if of_spent else None,
        "delivery": round(n["delivery_days"] / arrived, 1) if arrived else None,
    }


def notes(known: Collection, chosen: Selection, definition: str) -> list[str]:
    """What a table covers and means."""
    return [
        _("As of {day}", day=words.day(known.as_of)),
        *scope(chosen, known, selects(known)),
        definition,
    ]


def cards(known: Collection, chosen: Selection) -> list[Card]:
    """Holdings, turnover, what was never lent or dead on arrival, age, and what to weed."""
    sums = known.sums(chosen, "collection").values()
    n = {key: sum(part[key] for part in sums) for key in SUMMED}
    median, weed = median_age(known, chosen), candidates(known, chosen, 1)
    turnover = n["circulation"] / n["holdings"] if n["holdings"] else 0
    count = weed[0]["total"] if weed else 0
    return [
        report.card("holdings", "Copies held", words.whole(n["holdings"]),
                    "Copies of the catalogue not withdrawn by the day of the newest event.",
                    note=ngettext("{count} checkout in a year", "{count} checkouts in a year",
                                  n["circulation"])),
        report.card("turnover", "Turnover", words.decimal(turnover, 2), TURNOVER,
                    note=_("loans a copy a year")),
        report.card("never", "Never lent", share(n["never_used"], n["holdings"]), WITHIN,
                    note=ngettext("{count} copy", "{count} copies", n["never_used"])),
        report.card("dead", "Dead on arrival", share(n["dead_on_arrival"], n["arrived_1y_2y"]),
                    WITHIN, note=_("of {count} added 1–2 years ago", count=n["arrived_1y_2y"])),
        report.card("median", "Median age",
                    "–" if median is None else _("{number} years", number=number(median)),
                    AGE,
                    note=_("by year of publication")),
        report.card("weed", "To look at for weeding", words.whole(count), WEEDING,
                    note=share(count, n["holdings"])),
    ]  # fmt: skip


MEASURES: Mapping[str, Callable[[Collection, Selection], Table]] = {
    "turnover": partial(use, by="turnover"),
    "relative_use": partial(use, by="relative_use"),
    "idle": idle,
    "age": age,
    "buying": buying,
    "weeding": weeding,
}
REPORT: Report[Collection] = Report(
    "collection",
    reads=TABLES,
    load=collection,
    cards=cards,
    measures=MEASURES,
    longer={"weeding": partial(weeding, limit=SAVED)},
    selects=selects,
    periods=False,
)
