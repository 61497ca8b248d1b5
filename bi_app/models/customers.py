"""Customers of the shop: segments by recency, frequency and spend, cohorts, and who came again.

The counts come from the lattices of gold, where small ones are withheld for every role alike
(docs/suppression.md); nothing here adds up or subtracts cells that are not told.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bi_app import words
from bi_app.models import report
from bi_app.models.members import ABOUT, WITHHELD, figure, told
from bi_app.models.report import Card, Report, percent, share, table_of
from bi_app.models.selection import Bounds, Select, Selection, months_before
from bi_app.models.shop import NoBranches, amount, analysis, priced
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.settings import settings

TABLES = ("gold.retail_segments", "gold.retail_cohorts")
DEFINED = {
    "rfm": N_(
        "Recency (r): days since the last order, on the last day of the month. Frequency (f):"
        " orders, which are invoices that sell. Monetary (m): net spend, less what was taken back."
        " All three over the window that ends with the month; each is scored from 1 (a fifth of the"
        " customers with the least) to 5, or by the break points that the shop has set; of recency,"
        " 5 is the latest. A customer is in the first segment whose rule holds."
    ),
    "breaks": N_("Break points by {what}: {breaks}."),
    "fifths": N_(
        "The scores r, f and m are fifths of the customers; those with the same value have the same"
        " score."
    ),
    "quintiles": N_("fifths of the customers; those with the same value have the same score"),
    "customers": N_(
        "Customers with at least one order in the window that ends with the month. Sales without a"
        " customer are not in it."
    ),
    "window": N_("The window is {days} days long."),
    "again": N_("Repeat rate: customers with two orders or more in the window, of all in it."),
    "lapsed": N_(
        "Lapsed (churn): customers in the window whose last order is longer ago than the shop says"
        " ({days} days), of all in it."
    ),
    "cohorts": N_(
        "Of the customers whose first order on record was in a month (the cohort), the share that"
        " ordered in each month after it; 0 is the month of the first order. In the first cohort"
        " are also customers from before the data begins."
    ),
    "new": N_("Customers whose first order on record was in the month, of all who ordered in it."),
    "net": N_("Net revenue of the customers in the window divided by their number."),
}
COHORT_COLUMNS = (
    Column("row", "First order"),
    Column("since", "Months later", "integer"),
    Column("month", "Month"),
    Column("size", "Customers", "integer"),
    Column("active", "Ordered", "integer"),
    Column("value", "Ordered, %", "number"),
    Column("told", "", "badge"),
)
OVER_COLUMNS = (
    Column("month", "Month", "date"),
    Column("borrowers", "Ordered in the month", "integer"),
    Column("active_12_months", "Customers in the window", "integer"),
    Column("again", "Repeat rate, %", "number"),
    Column("lapsed", "Lapsed, %", "number"),
    Column("told", "", "badge"),
)
BREAKS = (("recency", N_("days since the last order")), ("frequency", N_("orders")),
          ("monetary", N_("net spend")))  # fmt: skip


def segment_columns() -> tuple[Column, ...]:
    """The columns of the segments."""
    return (
        Column("name", "Segment"),
        Column("rule", "Rule"),
        Column("value", "Customers", "integer"),
        Column("share", "Share, %", "number"),
        Column("before", "A month before", "integer"),
        Column("orders", "Orders", "integer"),
        Column("net", priced("Net revenue"), "money"),
        Column("each", priced("Per customer"), "money"),
        Column("told", "", "badge"),
    )


Cells = dict[tuple[dt.date, str, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Customers(NoBranches):
    """The counts of both lattices, as rows of the queries of the same names."""

    segments: Sequence[Mapping[str, Any]]
    cohorts: Sequence[Mapping[str, Any]]

    @cached_property
    def months(self) -> list[dt.date]:
        """The months that are told, the newest first."""
        return sorted({r["month"] for r in self.segments}, reverse=True)

    @property
    def bounds(self) -> Bounds:
        """The first and last month."""
        return Bounds(self.months[-1], self.months[0], ())

    @cached_property
    def cells(self) -> Cells:
        """Every cell of the segments, by month, dimension and category."""
        return {(r["month"], r["dimension"], r["category"]): r for r in self.segments}

    @cached_property
    def active(self) -> dict[dt.date, Mapping[str, Any]]:
        """Customers who ordered in each month."""
        return {r["month"]: r for r in self.cohorts if r["dimension"] == "all"}

    def count(self, month: dt.date, dimension: str = "all", name: str = "all") -> int | None:
        """Customers of a cell; None where it is withheld or there is none."""
        found: int | None = self.cells.get((month, dimension, name), {}).get("customers")
        return found

    def of(self, chosen: Selection) -> dt.date:
        """The chosen month."""
        return dt.date.fromisoformat(chosen.get("month"))


def customers(viewer: Viewer) -> Customers | None:
    """The counts of customers; None where no month has been told yet."""
    found = held(viewer, TABLES, load_customers)
    return found if found.segments else None


def load_customers(viewer: Viewer) -> Customers:
    """Read both lattices."""
    return Customers(rows(viewer, "segments"), rows(viewer, "cohorts"))


def selects(known: Customers) -> tuple[Select, ...]:
    """Of which month."""
    values = tuple((m.isoformat(), words.full_month(m)) for m in known.months)
    return (Select("month", "Window to the end of", values),)


def segments(known: Customers, chosen: Selection) -> Table:
    """Customers of each segment with its rule, in the order of the rules."""
    month = known.of(chosen)
    whole = known.count(month)
    records = []
    for one in analysis().rfm.segments:
        row = known.cells.get((month, "segment", one.name))
        if row is None:
            continue
        count = row["customers"]
        records.append({
            "name": _(one.title), "rule": ruled(one.rule), "value": count,
            "share": percent(count, whole) if count is not None and whole else None,
            "before": known.count(months_before(month, 1), "segment", one.name),
            "orders": row["orders"], "net": None if row["net"] is None else round(row["net"], 2),
            "each": round(row["net"] / count, 2) if count and row["net"] is not None else None,
            "told": told(row),
        })  # fmt: skip
    return table_of("segments", "Customers by segment", segment_columns(), records,
                    notes(month, *definitions()))  # fmt: skip


def rules(known: Customers, chosen: Selection) -> Table:
    """The segments with their rules, as the page lists them beside the chart."""
    found = segments(known, chosen)
    columns = [c for c in found.columns if c.key not in ("before", "orders", "each")]
    return Table("rules", "What the segments are", columns, found.data, found.notes)


def ruled(rule: str) -> str:
    """A segment's rule, as the page shows it."""
    if rule == "true":
        return _("all others")
    shown = rule.replace(">=", "≥").replace("<=", "≤").replace("<>", "≠")
    if " or " not in shown:
        return shown.replace(" and ", ", ")
    for word in (N_("and"), N_("or"), N_("not"), N_("between")):
        shown = re.sub(rf"\b{word}\b", _(word), shown)
    return shown


def definitions() -> list[str]:
    """What recency, frequency and monetary value are, and how they are scored."""
    rfm = analysis().rfm
    found = [_(DEFINED["rfm"]), _(DEFINED["window"], days=rfm.window_days)]
    if not (rfm.recency or rfm.frequency or rfm.monetary):
        return [*found, _(DEFINED["fifths"])]
    for name, what in BREAKS:
        breaks = getattr(rfm, name)
        text = ", ".join(map(words.short, breaks)) if breaks else _(DEFINED["quintiles"])
        found.append(_(DEFINED["breaks"], what=_(what), breaks=text))
    return found


def over_months(known: Customers, chosen: Selection) -> Table:
    """Customers of each month and window, the repeat rate and those who lapsed."""
    records = []
    for month in sorted(known.months):
        row, whole = known.active.get(month, {}), known.count(month)
        again, lapsed = known.count(month, "orders", "again"), known.count(month, "last", "lapsed")
        hidden = row.get("suppressed", True) or None in (whole, again, lapsed)
        records.append({
            "month": month, "borrowers": row.get("customers"), "active_12_months": whole,
            "again": percent(again, whole) if again is not None and whole else None,
            "lapsed": percent(lapsed, whole) if lapsed is not None and whole else None,
            "told": f"warn|{_(WITHHELD)}" if hidden else "|",
        })  # fmt: skip
    rfm = analysis().rfm
    return table_of("over_months", "Customers by month", OVER_COLUMNS, records, [
        _(DEFINED["customers"]), _(DEFINED["window"], days=rfm.window_days), _(DEFINED["again"]),
        _(DEFINED["lapsed"], days=rfm.lapsed_after_days), _about(),
    ])  # fmt: skip


def cohorts(known: Customers, chosen: Selection) -> Table:
    """Of each cohort, the share that ordered in each month since its first."""
    sizes = {r["category"]: r["size"] for r in known.cohorts if r["size"] is not None}
    records = []
    for row in known.cohorts:
        if row["dimension"] != "cohort" or row["category"] == "earlier":
            continue
        began, month, count = dt.date.fromisoformat(row["category"]), row["month"], row["customers"]
        size = sizes.get(row["category"])
        value = None if count is None or not size else min(count / size * 100, 100.0)
        records.append({
            "began": began, "row": words.month(began), "month": words.month(month),
            "since": (month.year - began.year) * 12 + month.month - began.month,
            "size": size, "active": count, "value": None if value is None else round(value, 1),
            "told": told(row),
        })  # fmt: skip
    records.sort(key=lambda r: (r["began"], r["since"]))
    return table_of("cohorts", "Cohorts", COHORT_COLUMNS, records,
                    [_(DEFINED["cohorts"]), _about()])  # fmt: skip


def notes(month: dt.date, *told_of: str) -> list[str]:
    """What a table covers and means, and what is missing from it."""
    return [_("Window to the end of {month}", month=words.full_month(month)), *told_of, _about()]


def _about() -> str:
    return _(ABOUT, least=settings().suppress_below)


def cards(known: Customers, chosen: Selection) -> list[Card]:
    """Customers, who came again, who lapsed, who is new, and what each spent."""
    month, rfm = known.of(chosen), analysis().rfm
    whole, net = known.count(month), known.cells.get((month, "all", "all"), {}).get("net")
    again, lapsed = known.count(month, "orders", "again"), known.count(month, "last", "lapsed")
    ordered = known.active.get(month, {}).get("customers")
    new = next((r["customers"] for r in known.cohorts
                if r["month"] == month and r["category"] == month.isoformat()), None)  # fmt: skip
    when = words.full_month(month)
    each = net / whole if whole and net is not None else None
    return [
        figure("customers", "Customers", whole, DEFINED["customers"],
               _("{days} days to the end of {month}", days=rfm.window_days, month=when)),
        report.card("again", "Repeat rate", _share(again, whole), DEFINED["again"],
                    note=_("ordered twice or more")),
        report.card("lapsed", "Lapsed", _share(lapsed, whole),
                    _(DEFINED["lapsed"], days=rfm.lapsed_after_days),
                    note=_("no order for {days} days", days=rfm.lapsed_after_days)),
        report.card("new", "New customers", _share(new, ordered), DEFINED["new"],
                    note=_("of {count} who ordered in {month}", month=when,
                           count="–" if ordered is None else words.whole(ordered))),
        report.card("each", "Net revenue per customer",
                    "–" if each is None else amount(each, 2), DEFINED["net"],
                    note=_("{days} days", days=rfm.window_days)),
    ]  # fmt: skip


def _share(part: int | None, whole: int | None) -> str:
    return "–" if part is None or not whole else share(part, whole)


REPORT: Report[Customers] = Report(
    "customers",
    reads=TABLES,
    load=customers,
    cards=cards,
    measures={"segments": segments, "rules": rules, "cohorts": cohorts, "over_months": over_months},
    selects=selects,
    periods=False,
)
