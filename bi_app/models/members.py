"""Members: how many are active, new and stay, by cohort and group; what is withheld says so.

The counts come from the lattices of gold, where small ones are withheld for every role alike
(docs/suppression.md); nothing here adds up or subtracts cells that are not told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bi_app import words
from bi_app.models import report
from bi_app.models.report import Card, Report, share, table_of
from bi_app.models.selection import Bounds, Select, Selection
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.settings import settings

TABLES = ("gold.library_member_months", "gold.library_member_groups")
WITHHELD = N_("withheld")
DIMENSIONS = (("area", N_("Area")), ("branch", N_("Branch")), ("kind", N_("Kind of membership")))
BY = {  # titles of the table
    "area": N_("Active members by area"),
    "branch": N_("Active members by branch"),
    "kind": N_("Active members by kind of membership"),
}
DEFINED = {
    "active": N_(
        "Active members borrowed at least once in the month (bars), or in the twelve whole months"
        " that end with it (line); renewals, holds and visits do not count. Each member counts"
        " once. A month is told a week after its end and stays as it was told."
    ),
    "groups": N_(
        "Members who borrowed at least once in the quarter, each in one group: by area of the"
        " address, by the branch where the member borrowed most, or by kind of membership. The mark"
        " is the same quarter a year before."
    ),
    "where": N_(
        "The same counts by branch, where the branches are: a circle's area is the number of"
        " members who borrowed most there."
    ),
    "cohorts": N_(
        "Of the members who joined in a quarter, the share that borrowed in it and in each quarter"
        " after it. A low first value can mean that many joined in the last weeks."
    ),
    "new": N_("Members who joined in the quarter and are on record."),
    "retention": N_(
        "((CE − CN) ÷ CS) × 100, after MHLS: CE are the members active in the quarter, CN those of"
        " them who joined in it, CS those active in the quarter before. Above 100 % more came"
        " back than fell away."
    ),
    "core": N_(
        "Core customers: the 20 % of the members active in twelve months who have most checkouts,"
        " and their share of all checkouts."
    ),
}
ABOUT = N_(
    "Hatched or “withheld”: fewer than {least} people, or a number that would give such a one away."
    " Nobody sees more."
)
MONTH_COLUMNS = (
    Column("month", "Month", "date"),
    Column("borrowers", "Active in the month", "integer"),
    Column("active_12_months", "Active in 12 months", "integer"),
    Column("core_members", "Core customers", "integer"),
    Column("core_share", "Their checkouts, %", "integer"),
    Column("told", "", "badge"),
)
GROUP_COLUMNS = (
    Column("name", "Group"),
    Column("value", "Active", "integer"),
    Column("share", "Share, %", "number"),
    Column("before", "A year before", "integer"),
    Column("told", "", "badge"),
)
COHORT_COLUMNS = (
    Column("row", "Joined"),
    Column("since", "Quarters later", "integer"),
    Column("quarter", "Quarter"),
    Column("members", "Members", "integer"),
    Column("active", "Active", "integer"),
    Column("value", "Active, %", "number"),
    Column("told", "", "badge"),
)


@dataclass(frozen=True)
class Held:
    """What both roles of the staff see, as rows of the queries of the same names."""

    months: Sequence[Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]
    branches: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Members:
    """The counts, by what they are of."""

    held: Held

    @property
    def branches(self) -> Mapping[str, str]:
        """No branch can be chosen: the counts are by branch already."""
        return {}

    @property
    def bounds(self) -> Bounds:
        """The first and last month."""
        return Bounds(self.held.months[0]["month"], self.held.months[-1]["month"], ())

    @cached_property
    def cells(self) -> dict[tuple[dt.date, str, str], Mapping[str, Any]]:
        """Every cell of the lattice of groups, by quarter, dimension and category."""
        return {(r["quarter"], r["dimension"], r["category"]): r for r in self.held.groups}

    @cached_property
    def quarters(self) -> list[dt.date]:
        """The quarters that are told, the newest first."""
        return sorted({r["quarter"] for r in self.held.groups}, reverse=True)

    @cached_property
    def names(self) -> dict[str, str]:
        """Names of the branches by code."""
        return {r["branch_code"]: r["name"] for r in self.held.branches}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Members of each cohort whose size is told, by its first day as text."""
        return {r["category"]: r["members"] for r in self.held.groups if r["members"] is not None}

    def active(self, quarter: dt.date | None, dimension: str = "all", name: str = "all") -> Any:
        """Members of a cell; None where it is withheld or there is none."""
        if quarter is None:
            return None
        return self.cells.get((quarter, dimension, name), {}).get("active")

    def of(self, chosen: Selection) -> dt.date | None:
        """The chosen quarter."""
        asked = chosen.get("quarter")
        return dt.date.fromisoformat(asked) if asked else None


def members(viewer: Viewer) -> Members | None:
    """The counts of members; None where no period has been told yet."""
    found = held(viewer, TABLES, load_held)
    return Members(found) if found.months else None


def load_held(viewer: Viewer) -> Held:
    """Read both lattices, and where the branches are."""
    asked = ("member_months", "member_groups", "member_branches")
    return Held(*(rows(viewer, name) for name in asked))


def quarter_name(day: dt.date) -> str:
    """A quarter as people write it: Q3 2026."""
    return _("Q{quarter} {year}", quarter=(day.month + 2) // 3, year=str(day.year))


def earlier(day: dt.date, quarters: int) -> dt.date:
    """The first day of the quarter so many quarters before."""
    months = day.year * 12 + day.month - 1 - 3 * quarters
    return dt.date(months // 12, months % 12 + 1, 1)


def told(row: Mapping[str, Any]) -> str:
    """A badge that says that a count is withheld; nothing where it is told."""
    return f"warn|{_(WITHHELD)}" if row["suppressed"] else "|"


def selects(known: Members) -> tuple[Select, ...]:
    """By what, and of which quarter."""
    quarters = tuple((q.isoformat(), quarter_name(q)) for q in known.quarters) or (("", _("None")),)
    return Select("by", "By", DIMENSIONS, "segments"), Select("quarter", "Quarter", quarters)


def over_months(known: Members, chosen: Selection) -> Table:
    """Active members and core customers of each month."""
    records = [{**r, "told": told(r)} for r in known.held.months]
    return table_of("active", "Active members by month", MONTH_COLUMNS, records,
                    notes(DEFINED["active"], DEFINED["core"]))  # fmt: skip


def groups(known: Members, chosen: Selection, dimension: str = "") -> Table:
    """Active members of a quarter by group, the most first; what is withheld last."""
    by, quarter = dimension or chosen.get("by"), known.of(chosen)
    whole = known.active(quarter)
    records = []
    for row in known.held.groups:
        if row["quarter"] != quarter or row["dimension"] != by:
            continue
        if not (row["active"] or row["suppressed"]):
            continue
        code, active = row["category"], row["active"]
        records.append({
            "code": code, "name": group_name(known, by, code), "value": active,
            "share": round(active / whole * 100, 1) if whole and active is not None else None,
            "before": known.active(earlier(quarter, 4), by, code), "told": told(row),
        })  # fmt: skip
    records.sort(key=lambda r: (r["value"] is None, -(r["value"] or 0), r["name"]))
    columns = (Column("code", "Code"), *GROUP_COLUMNS)
    of = f"Quarter: {quarter_name(quarter)}" if quarter else "No quarter is told yet"
    return table_of("groups", BY[by], columns, records, [of, *notes(DEFINED["groups"])])


def group_name(known: Members, dimension: str, code: str) -> str:
    """A category as words."""
    if dimension == "branch":
        return known.names.get(code, code)
    if code == "unknown":
        return _("Unknown")
    return code if dimension == "area" else _(code.capitalize())


def where(known: Members, chosen: Selection) -> Table:
    """Active members by branch, with the branches' places."""
    found = groups(known, chosen, "branch")
    places = {r["branch_code"]: (r["longitude"], r["latitude"]) for r in known.held.branches}
    at = [places.get(code, (None, None)) for code in found.data["code"]]
    columns = (*found.columns, Column("x", "Longitude", "ratio"), Column("y", "Latitude", "ratio"))
    data = {**found.data, "x": [x for x, _ in at], "y": [y for _, y in at]}
    return Table("where", found.title, columns, data, [*found.notes, DEFINED["where"]])


def cohorts(known: Members, chosen: Selection) -> Table:
    """Of each cohort, the share that was active in each quarter since it joined."""
    records = []
    for row in known.held.groups:
        if row["dimension"] != "joined" or row["category"] == "earlier":
            continue
        joined, quarter = dt.date.fromisoformat(row["category"]), row["quarter"]
        size = known.sizes.get(row["category"])
        if size == 0:
            continue
        months = (quarter.year - joined.year) * 12 + quarter.month - joined.month
        active = row["active"]
        value = None if active is None or not size else min(active / size * 100, 100.0)
        records.append({
            "joined": joined, "row": quarter_name(joined), "since": months // 3,
            "quarter": quarter_name(quarter), "members": size, "active": active,
            "value": None if value is None else round(value, 1), "told": told(row),
        })  # fmt: skip
    records.sort(key=lambda r: (r["joined"], r["since"]), reverse=False)
    return table_of("cohorts", "Cohorts", COHORT_COLUMNS, records, notes(DEFINED["cohorts"]))


def notes(*definitions: str) -> list[str]:
    """What a table means, and what is missing from it."""
    return [*definitions, _(ABOUT, least=settings().suppress_below)]


def cards(known: Members, chosen: Selection) -> list[Card]:
    """Active, new, retention and core customers; of the newest month and the chosen quarter."""
    month, quarter = known.held.months[-1], known.of(chosen)
    when = words.full_month(month["month"])
    return [
        figure("active_12", "Active in 12 months", month["active_12_months"], DEFINED["active"],
               _("to {month}", month=when)),
        figure("active", "Active in the month", month["borrowers"], DEFINED["active"], when),
        *_of_quarter(known, quarter),
        figure("core", "Core customers", month["core_members"], DEFINED["core"],
               _core_note(month)),
    ]  # fmt: skip


def _of_quarter(known: Members, quarter: dt.date | None) -> list[Card]:
    if quarter is None:
        return []
    name = quarter_name(quarter)
    new, before = (known.sizes.get(earlier(quarter, n).isoformat()) for n in (0, 4))
    compared = (
        _("{quarter}; {count} a year before", quarter=name, count=before)
        if before is not None
        else name
    )
    now, last = known.active(quarter), known.active(earlier(quarter, 1))
    joined = known.active(quarter, "joined", quarter.isoformat())
    stay = None if None in (now, last, joined) else now - joined
    value = "–" if stay is None else share(stay, last)
    return [
        figure("quarter", "Active in the quarter", now, DEFINED["groups"], name),
        figure("new", "New members", new, DEFINED["new"], compared),
        report.card("retention", "Retention", value, DEFINED["retention"], note=name),
    ]


def _core_note(month: Mapping[str, Any]) -> str:
    made = month["core_share"]
    return (
        _("20 % of the active")
        if made is None
        else _("20 % of the active, {share} % of checkouts", share=made)
    )


def figure(name: str, title: str, value: int | None, definition: str, note: str) -> Card:
    """A card with a count; a dash where it is not told."""
    text = "–" if value is None else words.whole(value)
    return report.card(name, title, text, definition, note=note)


MEASURES: Mapping[str, Callable[[Members, Selection], Table]] = {
    "active": over_months,
    "groups": groups,
    "where": where,
    "cohorts": cohorts,
}
REPORT: Report[Members] = Report(
    "members",
    reads=TABLES,
    load=members,
    cards=cards,
    measures=MEASURES,
    selects=selects,
    periods=False,
)
