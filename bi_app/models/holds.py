"""Holds: how many wait and how long, and which titles to buy for them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from bi_app import words
from bi_app.models import report
from bi_app.models.report import Card, Report, number, quantile, scope, share, span, table_of
from bi_app.models.selection import Bounds, Select, Selection
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.models.titles import collection_name
from bi_app.queries import rows
from bi_app.words import N_, _, ngettext
from warehouse.access import Viewer

TABLES = (
    "gold.library_hold_days",
    "gold.library_hold_waits",
    "gold.library_hold_titles",
    "gold.library_purchase_alert",
)
COUNTED = ("placed", "active", "frozen", "on_shelf", "collected", "expired", "cancelled")
BANDS = (
    (7, N_("Up to 7 days")), (14, N_("8–14 days")), (30, N_("15–30 days")),
    (60, N_("31–60 days")), (90, N_("61–90 days")), (10**6, N_("Over 90 days")),
)  # fmt: skip
LISTED, SAVED = 200, 10_000
ACTIVE = N_(
    "Holds that wait for a copy and that the member has not put off. Those ready on the hold shelf"
    " and those put off are counted on their own."
)
WAITS = N_(
    "Days from the day a hold was placed to the day its copy came onto the hold shelf: the median,"
    " and the days within which nine of ten came, by the month in which they came. Pre-orders are"
    " not told apart. Months that the period touches."
)
AGES = N_(
    "How long the active holds have waited by the day of the newest event, beside how long those"
    " waited whose copy came in the months that the period touches."
)
BUYING = N_(
    "Holds for each copy: active holds at all branches, because those of one branch hide demand,"
    " divided by the copies held and on order. To buy: holds divided by the threshold, rounded up,"
    " less copies held and on order. Listed are titles with a copy to buy; choosing branches leaves"
    " those that somebody there waits for. Copies in process are not on record."
)
STATES = N_(
    "Active holds, those put off, and those on the hold shelf now; holds placed in the last 7 and"
    " 30 days; the oldest active hold. Expired: of the holds placed in the period and ended, those"
    " that were not collected in time."
)
WAIT_COLUMNS = (
    Column("name", "Month"),
    Column("value", "Median days", "number"),
    Column("most", "Nine of ten within", "integer"),
    Column("holds", "Holds", "integer"),
)
AGE_COLUMNS = (
    Column("name", "Waited"),
    Column("value", "Waiting now", "integer"),
    Column("came", "Came in the period", "integer"),
    Column("share", "Of those that came, %", "number"),
)
BUY_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("collection", "Collection"),
    Column("holds", "Holds", "integer"),
    Column("copies", "Copies", "integer"),
    Column("on_order", "On order", "integer"),
    Column("ratio", "Holds a copy", "ratio"),
    Column("buy", "To buy", "integer"),
    Column("branches", "Branches", "integer"),
    Column("oldest_on", "Oldest hold", "date"),
)
STATE_COLUMNS = (
    Column("name", "Branch"),
    Column("active", "Active", "integer"),
    Column("frozen", "Put off", "integer"),
    Column("on_shelf", "On the shelf", "integer"),
    Column("new_7", "New in 7 days", "integer"),
    Column("new_30", "New in 30 days", "integer"),
    Column("oldest", "Oldest, days", "integer"),
    Column("expired", "Expired, %", "number"),
)
SELECTS = (
    Select("threshold", "Holds a copy may have",
           tuple((str(n), str(n)) for n in (4, 2, 3, 5, 6, 8, 10))),
)  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """What everybody of a scope sees of holds, as rows of the queries of the same names."""

    branches: dict[str, str]
    days: Sequence[Mapping[str, Any]]
    waits: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Holds:
    """Holds as one viewer sees them; the list of titles is asked for as that viewer."""

    viewer: Viewer
    held: Waiting

    @property
    def branches(self) -> Mapping[str, str]:
        """Names of the branches by code."""
        return self.held.branches

    @cached_property
    def as_of(self) -> dt.date:
        """The day of the newest event."""
        newest: dt.date = max(r["as_of_on"] for r in self.held.days)
        return newest

    @property
    def bounds(self) -> Bounds:
        """From the first hold placed to the newest event."""
        return Bounds(self.held.days[0]["placed_on"], self.as_of, tuple(self.held.branches))

    def at(self, chosen: Selection) -> list[Mapping[str, Any]]:
        """Days of the chosen branches, of any period."""
        codes = chosen.branches
        return [r for r in self.held.days if not codes or r["branch_code"] in codes]

    def waits(self, chosen: Selection) -> dict[dt.date, list[tuple[int, int]]]:
        """(days waited, holds) by the months that the period touches."""
        found: dict[dt.date, list[tuple[int, int]]] = defaultdict(list)
        first, codes = chosen.start.replace(day=1), chosen.branches
        for row in self.held.waits:
            here = not codes or row["branch_code"] in codes
            if here and first <= row["month"] <= chosen.end:
                found[row["month"]].append((row["wait_days"], row["holds"]))
        return found


def holds(viewer: Viewer) -> Holds | None:
    """The holds that a viewer may see; None where there are none."""
    found = held(viewer, TABLES, load_waiting)
    return Holds(viewer, found) if found.days else None


def load_waiting(viewer: Viewer) -> Waiting:
    """Read what everybody of this scope sees."""
    days = rows(viewer, "hold_days")
    codes = sorted({r["branch_code"] for r in days})
    names = rows(viewer, "branch_names", {"codes": codes})
    waits = rows(viewer, "hold_waits")
    return Waiting({r["branch_code"]: r["name"] for r in names}, days, waits)


def waits(known: Holds, chosen: Selection) -> Table:
    """Median wait by month, and the days within which nine of ten came."""
    records = []
    for month, counted in sorted(known.waits(chosen).items()):
        records.append({
            "name": words.month(month), "value": quantile(counted, report.HALF),
            "most": int(quantile(counted, 0.9) or 0), "holds": sum(n for _, n in counted),
        })  # fmt: skip
    covered = notes(known, chosen, WAITS)
    return table_of("waits", "Waiting time by month", WAIT_COLUMNS, records, covered)


def ages(known: Holds, chosen: Selection) -> Table:
    """Holds by how long they wait, or waited."""
    running, came = [0] * len(BANDS), [0] * len(BANDS)
    for row in known.at(chosen):
        running[band((known.as_of - row["placed_on"]).days)] += row["active"]
    for counted in known.waits(chosen).values():
        for days, n in counted:
            came[band(days)] += n
    records = [
        {"name": _(name), "value": running[i], "came": came[i],
         "share": report.percent(came[i], sum(came))}
        for i, (_most, name) in enumerate(BANDS)
    ]  # fmt: skip
    covered = notes(known, chosen, AGES)
    return table_of("ages", "Holds by days waited", AGE_COLUMNS, records, covered)


def band(days: int) -> int:
    """The place in BANDS of a number of days."""
    return next(i for i, (most, _) in enumerate(BANDS) if days <= most)


def states(known: Holds, chosen: Selection) -> Table:
    """Each branch: how its holds stand, the most active first."""
    everywhere = known.held.days
    records: list[dict[str, Any]] = []
    for code, name in known.branches.items():
        here = [r for r in everywhere if r["branch_code"] == code]
        waiting = [r["placed_on"] for r in here if r["active"]]
        ended = _in_period(here, chosen)
        records.append({
            "code": code, "name": name,
            **{key: sum(r[key] for r in here) for key in ("active", "frozen", "on_shelf")},
            "new_7": _new(known, here, 7), "new_30": _new(known, here, 30),
            "oldest": (known.as_of - min(waiting)).days if waiting else None,
            "expired": report.percent(ended["expired"],
                                      sum(ended[k] for k in ("collected", "expired", "cancelled"))),
        })  # fmt: skip
    records.sort(key=lambda r: -r["active"])
    columns = (Column("code", "Code"), *STATE_COLUMNS)
    return table_of("states", "Holds by branch", columns, records, notes(known, chosen, STATES))


def _new(known: Holds, found: Iterable[Mapping[str, Any]], days: int) -> int:
    """Holds placed on the last days."""
    return sum(r["placed"] for r in found if (known.as_of - r["placed_on"]).days < days)


def _in_period(found: Iterable[Mapping[str, Any]], chosen: Selection) -> dict[str, int]:
    """Sums of the holds placed in the period."""
    here = [r for r in found if chosen.start <= r["placed_on"] <= chosen.end]
    return {key: sum(r[key] for r in here) for key in COUNTED}


def buying(known: Holds, chosen: Selection, limit: int = LISTED) -> Table:
    """Titles to buy, the most holds a copy first."""
    found = wanted(known, chosen, limit)
    for row in found:
        row["collection"] = collection_name(row["collection"])
    covered = notes(known, chosen, BUYING)
    return table_of("buying", "Titles to buy", BUY_COLUMNS, found, covered)


def wanted(known: Holds, chosen: Selection, limit: int) -> list[dict[str, Any]]:
    """Rows of the purchase alert; each says how many `titles` and `copies_to_buy` there are."""
    asked = {"branches": list(chosen.branches) or None, "limit": limit,
             "threshold": int(chosen.get("threshold"))}  # fmt: skip
    return rows(known.viewer, "purchase_alert", asked)


def notes(known: Holds, chosen: Selection, definition: str) -> list[str]:
    """What a table covers and means."""
    as_of = _("As of {day}", day=words.day(known.as_of))
    return [as_of, span(chosen), *scope(chosen, known, SELECTS), definition]


def cards(known: Holds, chosen: Selection) -> list[Card]:
    """How many wait, how long, and what to buy."""
    here = known.at(chosen)
    n = {key: sum(r[key] for r in here) for key in COUNTED}
    counted = [pair for pairs in known.waits(chosen).values() for pair in pairs]
    median, most = quantile(counted, report.HALF), quantile(counted, 0.9)
    oldest = min((r["placed_on"] for r in here if r["active"]), default=None)
    buy = wanted(known, chosen, 1)
    ended = _in_period(here, chosen)
    done = sum(ended[k] for k in ("collected", "expired", "cancelled"))
    return [
        report.card("active", "Active holds", words.whole(n["active"]), ACTIVE,
                    note=_("{frozen} put off, {shelf} on the shelf", frozen=n["frozen"],
                           shelf=n["on_shelf"])),
        report.card("median", "Median wait",
                    "–" if median is None else _("{number} days", number=number(median)), WAITS,
                    note="" if most is None else _("nine of ten within {number} days",
                                                   number=words.whole(most))),
        report.card("oldest", "Oldest active hold",
                    "–" if oldest is None else
                    ngettext("{count} day", "{count} days", (known.as_of - oldest).days), STATES,
                    note="" if oldest is None else _("placed {day}", day=words.day(oldest))),
        report.card("expired", "Not collected in time", share(ended["expired"], done), STATES,
                    note=_("of {count} placed in the period and ended", count=done)),
        report.card("buy", "Copies to buy", words.whole(buy[0]["copies_to_buy"] if buy else 0),
                    BUYING,
                    note=ngettext("of {count} title", "of {count} titles",
                                  buy[0]["titles"] if buy else 0)),
    ]  # fmt: skip


REPORT: Report[Holds] = Report(
    "holds",
    reads=TABLES,
    load=holds,
    cards=cards,
    measures={"waits": waits, "ages": ages, "buying": buying, "states": states},
    longer={"buying": partial(buying, limit=SAVED)},
    selects=lambda _: SELECTS,
)
