"""Overdue loans, late returns and fines: sums and ages, nobody named."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bi_app import words
from bi_app.models import report
from bi_app.models.lending import type_name
from bi_app.models.my_loans import in_currency, money
from bi_app.models.report import HALF, Card, Report, percent, quantile, scope, share, span, table_of
from bi_app.models.selection import Bounds, Selection
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer

TABLES = (
    "gold.library_fine_months",
    "gold.library_fines_owed",
    "gold.library_return_months",
    "gold.library_loans_out",
)
KINDS = ("charged", "paid", "waived")
AMOUNTS = {"charged": N_("Charged"), "paid": N_("Paid"), "waived": N_("Waived"), "owed": N_("Owed")}
OVERDUE_BANDS = (
    (7, N_("1–7 days")), (30, N_("8–30 days")), (90, N_("31–90 days")), (365, N_("91–365 days")),
    (10**6, N_("Over a year")),
)  # fmt: skip
OWED_BANDS = (
    (0, N_("Under a month")), (2, N_("1–2 months")), (5, N_("3–5 months")),
    (11, N_("6–11 months")), (10**6, N_("A year or more")),
)  # fmt: skip
CHARGED = N_(
    "Charges for late returns, and what was paid and waived of any charge, by the month of the"
    " entry. A payment need not be for a charge of the same month. Months that the period touches."
)
OWED = N_(
    "Charged less paid and waived for a loan, where that is more than nothing, by the age of its"
    " first charge on the day of the newest event. Whatever the period."
)
OVERDUE = N_(
    "Loans not handed back whose due day has passed by the day of the newest event, by how long ago"
    " that was, at the branch that lent them. Loans whose due day is not on record are left out."
    " Whatever the period."
)
LATE = N_(
    "Returns in the months that the period touches: on time when handed back on or before the due"
    " day. Days late: the median of those that were late. Returns whose due day is not on record"
    " are left out of the shares."
)
BY_BRANCH = N_(
    "What was charged, paid and waived at a branch in the months that the period touches; what is"
    " owed and overdue now; and the share of its returns that were on time."
)


def month_columns() -> tuple[Column, ...]:
    """The columns of fines by month."""
    return (
        Column("name", "Month"),
        Column("value", in_currency("Charged"), "money"),
        Column("paid", in_currency("Paid"), "money"),
        Column("waived", in_currency("Waived"), "money"),
        Column("entries", "Charges", "integer"),
    )


def owed_columns() -> tuple[Column, ...]:
    """The columns of what is owed."""
    return (
        Column("name", "Age"),
        Column("value", in_currency("Owed"), "money"),
        Column("share", "Share, %", "number"),
        Column("loans", "Loans", "integer"),
    )


OVERDUE_COLUMNS = (
    Column("name", "Overdue"),
    Column("value", "Loans", "integer"),
    Column("share", "Of loans out, %", "number"),
)
LATE_COLUMNS = (
    Column("name", "Kind of material"),
    Column("returns", "Returns", "integer"),
    Column("on_time", "On time, %", "number"),
    Column("days", "Days late", "number"),
    Column("month_late", "Over 30 days late, %", "number"),
    Column("unknown", "No due day", "integer"),
)


def branch_columns() -> tuple[Column, ...]:
    """The columns of the comparison by branch."""
    amounts = [Column(k, in_currency(AMOUNTS[k]), "money") for k in (*KINDS, "owed")]
    return (
        Column("name", "Branch"), *amounts, Column("overdue", "Overdue loans", "integer"),
        Column("on_time", "Returned on time, %", "number"),
    )  # fmt: skip


@dataclass(frozen=True)
class Fines:
    """What a scope sees, as rows of the queries of the same names."""

    branches: dict[str, str]
    months: Sequence[Mapping[str, Any]]
    owed: Sequence[Mapping[str, Any]]
    returned: Sequence[Mapping[str, Any]]
    out: Sequence[Mapping[str, Any]]

    @cached_property
    def bounds(self) -> Bounds:
        """From the first month with an entry or a return to the newest event."""
        months = [r["month"] for r in (*self.months[:1], *self.returned[:1])]
        ends = [r["as_of_on"] for r in self.out] or [self.returned[-1]["month"]]
        last: dt.date = max(ends)
        return Bounds(min([*months, last]), last, tuple(self.branches))


def fines(viewer: Viewer) -> Fines | None:
    """The fines and lateness that a viewer may see; None where there is nothing."""
    found = held(viewer, TABLES, load_fines)
    return found if found.returned else None


def load_fines(viewer: Viewer) -> Fines:
    """Read what everybody of this scope sees."""
    names = ("fine_months", "fines_owed", "return_months", "loans_out")
    months, owed, returned, out = (rows(viewer, name) for name in names)
    codes = sorted({r["branch_code"] for r in (*months, *owed, *returned, *out)})
    named = rows(viewer, "branch_names", {"codes": codes})
    branches = {r["branch_code"]: r["name"] for r in named}
    return Fines(branches, months, owed, returned, out)


def _at(chosen: Selection, found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the chosen branches."""
    return [r for r in found if not chosen.branches or r["branch_code"] in chosen.branches]


def _during(chosen: Selection, found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the chosen branches and of the months that the period touches."""
    first = chosen.start.replace(day=1)
    return [r for r in _at(chosen, found) if first <= r["month"] <= chosen.end]


def _sums(found: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Amounts by kind."""
    sums = dict.fromkeys(KINDS, 0.0)
    for row in found:
        sums[row["kind"]] += row["amount"]
    return {kind: round(amount, 2) for kind, amount in sums.items()}


def months(known: Fines, chosen: Selection) -> Table:
    """Charged, paid and waived by month."""
    found: dict[dt.date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in _during(chosen, known.months):
        found[row["month"]].append(row)
    records = []
    for month, entries in found.items():
        sums = _sums(entries)
        records.append({
            "name": words.month(month), "value": sums["charged"], "paid": sums["paid"],
            "waived": sums["waived"],
            "entries": sum(r["entries"] for r in entries if r["kind"] == "charged"),
        })  # fmt: skip
    covered = notes(known, chosen, CHARGED)
    return table_of("months", "Fines by month", month_columns(), records, covered)


def place(bands: Sequence[tuple[int, str]], value: int) -> int:
    """The place of a value in bands of (most, name)."""
    return next(i for i, (most, _) in enumerate(bands) if value <= most)


def owed(known: Fines, chosen: Selection) -> Table:
    """What is still owed, by age."""
    sums, loans = [0.0] * len(OWED_BANDS), [0] * len(OWED_BANDS)
    for row in _at(chosen, known.owed):
        at = place(OWED_BANDS, row["months"])
        sums[at] += row["owed"]
        loans[at] += row["loans"]
    records = [
        {"name": _(name), "value": round(sums[i], 2), "share": percent(sums[i], sum(sums)),
         "loans": loans[i]}
        for i, (_most, name) in enumerate(OWED_BANDS)
    ]  # fmt: skip
    return table_of(
        "owed", "Fines owed by age", owed_columns(), records, notes(known, chosen, OWED)
    )


def overdue(known: Fines, chosen: Selection) -> Table:
    """Loans that are overdue, by how long."""
    here = _at(chosen, known.out)
    out = sum(r["loans"] for r in here)
    loans = [0] * len(OVERDUE_BANDS)
    for row in here:
        if row["days_overdue"] > 0:
            loans[place(OVERDUE_BANDS, row["days_overdue"])] += row["loans"]
    records = [
        {"name": _(name), "value": loans[i], "share": percent(loans[i], out)}
        for i, (_most, name) in enumerate(OVERDUE_BANDS)
    ]
    covered = notes(known, chosen, OVERDUE)
    return table_of("overdue", "Overdue loans", OVERDUE_COLUMNS, records, covered)


def _late(found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Shares of returns that were on time and late."""
    counted = [(r["days_late"], r["returns"]) for r in found]
    known = sum(n for days, n in counted if days >= 0)
    return {
        "returns": sum(n for _, n in counted),
        "unknown": sum(n for days, n in counted if days < 0),
        "on_time": percent(sum(n for days, n in counted if days == 0), known),
        "days": quantile(((days, n) for days, n in counted if days > 0), HALF),
        "month_late": percent(sum(n for days, n in counted if days > 30), known),
    }


def late(known: Fines, chosen: Selection) -> Table:
    """Lateness of returns by kind of material, the most returned first."""
    by_type: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in _during(chosen, known.returned):
        by_type[row["item_type"]].append(row)
    records = [{"name": _(type_name(kind)), **_late(found)} for kind, found in by_type.items()]
    records.sort(key=lambda r: -r["returns"])
    covered = notes(known, chosen, LATE)
    return table_of("late", "Returns by lateness", LATE_COLUMNS, records, covered)


def by_branch(known: Fines, chosen: Selection) -> Table:
    """Each branch: fines, what is overdue, and lateness; the most owed first."""
    everywhere = report.everywhere(chosen)
    during = _during(everywhere, known.months), _during(everywhere, known.returned)
    records: list[dict[str, Any]] = []
    for code, name in known.branches.items():
        entries, returned, owing, out = (
            [r for r in found if r["branch_code"] == code]
            for found in (*during, known.owed, known.out)
        )
        records.append({
            "code": code, "name": name, **_sums(entries),
            "owed": round(sum(r["owed"] for r in owing), 2),
            "overdue": sum(r["loans"] for r in out if r["days_overdue"] > 0),
            "on_time": _late(returned)["on_time"],
        })  # fmt: skip
    records.sort(key=lambda r: -r["owed"])
    columns = (Column("code", "Code"), *branch_columns())
    covered = notes(known, everywhere, BY_BRANCH)
    return table_of("branches", "Fines and lateness by branch", columns, records, covered)


def notes(known: Fines, chosen: Selection, definition: str) -> list[str]:
    """What a table covers and means."""
    as_of = _("As of {day}", day=words.day(known.bounds.last))
    return [as_of, span(chosen), *scope(chosen, known), definition]


def cards(known: Fines, chosen: Selection) -> list[Card]:
    """Fines in the period, what is owed and overdue, and what comes back on time."""
    sums = _sums(_during(chosen, known.months))
    here = _at(chosen, known.out)
    out = sum(r["loans"] for r in here)
    late_now = sum(r["loans"] for r in here if r["days_overdue"] > 0)
    returned = _late(_during(chosen, known.returned))
    owing = sum(r["owed"] for r in _at(chosen, known.owed))
    on_time = returned["on_time"]
    return [
        report.card("charged", "Charged", amount(sums["charged"]), CHARGED,
                    note=_("in the period")),
        report.card("paid", "Paid", amount(sums["paid"]), CHARGED,
                    note=_("{share} of what was charged",
                           share=share(sums["paid"], sums["charged"]))),
        report.card("waived", "Waived", amount(sums["waived"]), CHARGED,
                    note=_("{share} of what was charged",
                           share=share(sums["waived"], sums["charged"]))),
        report.card("owed", "Owed", amount(owing), OWED, note=_("by all charges, now")),
        report.card("overdue", "Overdue loans", words.whole(late_now), OVERDUE,
                    note=_("{share} of {count} loans out", share=share(late_now, out), count=out)),
        report.card("on_time", "Returned on time",
                    "–" if on_time is None else words.percent(on_time), LATE,
                    note=_("of {count} returns", count=returned["returns"])),
    ]  # fmt: skip


def amount(value: float) -> str:
    """A sum of money as a card writes it, with the currency where one is set."""
    return money(report.cents(value))


REPORT: Report[Fines] = Report(
    "fines",
    reads=TABLES,
    load=fines,
    cards=cards,
    measures={"months": months, "overdue": overdue, "late": late, "owed": owed,
              "branches": by_branch},
)  # fmt: skip
