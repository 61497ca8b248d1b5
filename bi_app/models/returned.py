"""Cancellations: how much is taken back, of what and where, and whether the sale is known."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from bi_app import words
from bi_app.models import report
from bi_app.models.report import Card, Report, notes, percent, share, table_of
from bi_app.models.selection import Bounds, Selection
from bi_app.models.shop import NoBranches, amount, priced
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer

TABLES = ("gold.retail_cancellations", "gold.retail_products")
OUTCOMES = {
    "matched": N_("Sale found"),
    "no earlier sale": N_("No earlier sale of it"),
    "more than was sold": N_("More than was sold"),
    "no customer": N_("No customer on record"),
}
MOST = 1000
MATCHED = N_(
    "A cancelled line takes back the latest earlier sale of the same customer and product of which"
    " at least as many pieces are left; what was taken back once is left no more. Lines for which"
    " there is none are counted by the reason: no customer on record, no earlier sale of that"
    " product to that customer, or none with so many pieces left."
)
RATE = N_(
    "Return rate: what cancelling invoices took back, divided by gross revenue, both in the whole"
    " months that the period touches. A cancellation counts in its own month, not in that of its"
    " sale."
)
DAYS = N_("Days from the sale to its cancellation: the mean over the lines whose sale was found.")
MONTH_COLUMNS = (
    ("name", N_("Month"), "text"), ("value", N_("Cancelled"), "money"),
    ("gross", N_("Gross revenue"), "money"), ("rate", N_("Return rate, %"), "number"),
    ("lines", N_("Lines"), "integer"), ("matched", N_("Sale found, %"), "number"),
)  # fmt: skip


def columns_of(*wanted: tuple[str, str, Any]) -> tuple[Column, ...]:
    """Columns; amounts with the shop's currency in their heading."""
    return tuple(
        Column(key, priced(title) if kind == "money" else title, kind)
        for key, title, kind in wanted
    )


def month_columns() -> tuple[Column, ...]:
    """The columns of cancellations by month."""
    return columns_of(*MONTH_COLUMNS)


def by_columns(head: str) -> tuple[Column, ...]:
    """The columns of cancellations by product or country."""
    return columns_of(
        ("name", head, "text"), ("value", N_("Cancelled"), "money"),
        ("gross", N_("Gross revenue"), "money"), ("rate", N_("Return rate, %"), "number"),
        ("lines", N_("Lines"), "integer"), ("matched", N_("Sale found, %"), "number"),
        ("days", N_("Days after the sale"), "number"),
    )  # fmt: skip


def outcome_columns() -> tuple[Column, ...]:
    """The columns of how the search for a sale went."""
    return columns_of(
        ("name", N_("Outcome"), "text"), ("value", N_("Lines"), "integer"),
        ("share", N_("Of lines, %"), "number"), ("amount", N_("Cancelled"), "money"),
        ("amount_share", N_("Of what was cancelled, %"), "number"),
    )  # fmt: skip


@dataclass(frozen=True)
class Returned(NoBranches):
    """Rows of the queries `cancellations` and `sold_by_month`."""

    cancelled: Sequence[Mapping[str, Any]]
    sold: Sequence[Mapping[str, Any]]

    @cached_property
    def bounds(self) -> Bounds:
        """From the first month with a sale to the end of the last."""
        months = [r["month"] for r in self.sold]
        return Bounds(min(months), _end(max(months)), ())

    def within(self, chosen: Selection) -> list[Mapping[str, Any]]:
        """Cancelled lines of the months that the period touches."""
        return [r for r in self.cancelled if _touches(r["month"], chosen)]

    def gross(self, chosen: Selection, dimension: str) -> dict[str, float]:
        """Gross revenue of those months, by the values of a dimension."""
        found: dict[str, float] = defaultdict(float)
        for row in self.sold:
            if row["dimension"] == dimension and _touches(row["month"], chosen):
                found[row["value"]] += row["gross"]
        return found


def _end(month: dt.date) -> dt.date:
    return (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def _touches(month: dt.date, chosen: Selection) -> bool:
    return month <= chosen.end and _end(month) >= chosen.start


def returned(viewer: Viewer) -> Returned | None:
    """The cancellations that a viewer may see; None before the sales have been analysed."""
    found = held(viewer, TABLES, load_returned)
    return found if found.cancelled and found.sold else None


def load_returned(viewer: Viewer) -> Returned:
    """Read cancellations, and what they are a share of."""
    return Returned(rows(viewer, "cancellations"), rows(viewer, "sold_by_month"))


@dataclass
class Group:
    """Sums of some cancelled lines."""

    name: str = ""
    lines: int = 0
    amount: float = 0.0
    matched: int = 0
    days: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Add lines."""
        self.lines += row["lines"]
        self.amount += row["amount"]
        if row["outcome"] == "matched":
            self.matched += row["lines"]
            self.days += row["days_after"]

    def record(self, gross: float) -> dict[str, Any]:
        """As a row of a table."""
        return {
            "name": self.name, "value": round(self.amount, 2), "gross": round(gross, 2),
            "rate": percent(self.amount, gross) if gross > 0 else None, "lines": self.lines,
            "matched": percent(self.matched, self.lines),
            "days": round(self.days / self.matched, 1) if self.matched else None,
        }  # fmt: skip


def grouped(lines: Sequence[Mapping[str, Any]], key: str, name: str = "") -> dict[Any, Group]:
    """Sums by a column; `name` is the column that names a group."""
    found: dict[Any, Group] = defaultdict(Group)
    for row in lines:
        group = found[row[key]]
        group.name = str(row[name or key])
        group.add(row)
    return found


def months(known: Returned, chosen: Selection) -> Table:
    """What was taken back in each month."""
    found = grouped(known.within(chosen), "month")
    gross = {r["month"]: r["gross"] for r in known.sold if r["dimension"] == "total"}
    records = [
        {**found[m].record(gross[m]), "name": words.month(m)}
        for m in sorted(gross)
        if _touches(m, chosen)
    ]
    return table_of("months", "Cancelled by month", month_columns(), records,
                    notes(chosen, RATE, MATCHED))  # fmt: skip


def outcomes(known: Returned, chosen: Selection) -> Table:
    """How often the sale was found, and why not."""
    found = grouped(known.within(chosen), "outcome")
    lines, total = (sum(getattr(g, k) for g in found.values()) for k in ("lines", "amount"))
    records = [
        {
            "name": _(title), "value": found[name].lines,
            "share": percent(found[name].lines, lines),
            "amount": round(found[name].amount, 2),
            "amount_share": percent(found[name].amount, total),
        }
        for name, title in OUTCOMES.items()
        if name in found
    ]  # fmt: skip
    return table_of("outcomes", "The sale behind a cancellation", outcome_columns(), records,
                    notes(chosen, MATCHED))  # fmt: skip


def by(known: Returned, chosen: Selection, dimension: str, most: int | None = None) -> Table:
    """Cancellations by product or country, the most taken back first."""
    key, name, head = BY[dimension]
    gross = known.gross(chosen, dimension)
    found = sorted(
        grouped(known.within(chosen), key, name).items(),
        key=lambda each: (-each[1].amount, each[0]),
    )
    records = [group.record(gross[value]) for value, group in found[:most]]
    return table_of(f"by_{key}", TITLES[dimension], by_columns(head), records,
                    notes(chosen, RATE, MATCHED, DAYS))  # fmt: skip


BY = {
    "country": ("country", "country", N_("Country")),
    "stock_code": ("stock_code", "name", N_("Product")),
}
TITLES = {"country": N_("Cancelled by country"), "stock_code": N_("Cancelled by product")}


def cards(known: Returned, chosen: Selection) -> list[Card]:
    """What was taken back, the rate, and how often the sale is known."""
    all_ = Group()
    for row in known.within(chosen):
        all_.add(row)
    gross = known.gross(chosen, "total").get("all", 0.0)
    lost = all_.lines - all_.matched
    return [
        report.card("cancelled", "Cancelled", amount(all_.amount), RATE,
                    note=_("{count} lines", count=words.whole(all_.lines))),
        report.card("rate", "Return rate", share(all_.amount, gross), RATE,
                    note=_("of {amount} gross revenue", amount=amount(gross))),
        report.card("matched", "Sale found", share(all_.matched, all_.lines), MATCHED,
                    note=_("{count} lines without", count=words.whole(lost))),
        report.card("days", "Days after the sale",
                    report.number(all_.days / all_.matched) if all_.matched else "–", DAYS,
                    note=_("on average")),
    ]  # fmt: skip


REPORT: Report[Returned] = Report(
    "returns",
    reads=TABLES,
    load=returned,
    cards=cards,
    measures={
        "months": months,
        "outcomes": outcomes,
        "by_stock_code": partial(by, dimension="stock_code", most=100),
        "by_country": partial(by, dimension="country"),
    },
    longer={"by_stock_code": partial(by, dimension="stock_code", most=MOST)},
)
