"""Branches side by side, each figure beside the mean of them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bi_app.models import collection, report
from bi_app.models.circulation import Array, Circulation, circulation, measured
from bi_app.models.measures import MEASURES
from bi_app.models.report import Card, Report, number, ratio, rounded, scope, span, table_of
from bi_app.models.selection import Bounds, Select, Selection, day_number
from bi_app.models.staffing import OPENED
from bi_app.models.table import Column, Table
from bi_app.words import N_, _, joined
from warehouse.access import Viewer

TABLES = ("gold.library_circulation", "gold.library_stock_use")
FIGURES = {
    "checkouts": N_("Checkouts"),
    "total": N_("Total circulation"),
    "in_house_uses": N_("In-house use"),
    "opened": N_("Opened hours"),
    "per_hour": N_("Checkouts an opened hour"),
    "holdings": N_("Copies held"),
    "turnover": N_("Turnover"),
    "never": N_("Never lent, %"),
}
CAUTION = N_(
    "Branches differ in size, stock and opening hours, and standards on library indicators advise"
    " to compare with caution: look at figures an hour or a copy before sums."
)
DEFINITIONS = {
    "checkouts": MEASURES["checkouts"].definition,
    "total": MEASURES["total"].definition,
    "in_house_uses": MEASURES["in_house_uses"].definition,
    "opened": OPENED,
    "per_hour": joined(N_("Checkouts divided by the opened hours."), OPENED),
    "holdings": N_("Copies of the branch that are not withdrawn, now."),
    "turnover": collection.USE,
    "never": N_("Copies held without a checkout on record, of the copies held."),
}
COMPARED = joined(
    N_(
        "The chosen figure of each branch; the mark is the mean of all branches that you may see."
        " The difference is to that mean."
    ),
    CAUTION,
)
TABLE = joined(
    N_("Every figure of each branch, with the checkouts of each month as a line."), CAUTION
)
DIFFERENCES = joined(
    N_("Each figure as its difference to the mean of all branches, in percent."), CAUTION
)
BAR_COLUMNS = (
    Column("name", "Branch"),
    Column("value", "Value", "ratio"),
    Column("mean", "Mean of all", "ratio"),
    Column("difference", "Difference, %", "number"),
)
SELECTS = (Select("figure", "Compare", tuple(FIGURES.items())),)


def columns(differences: bool = False) -> tuple[Column, ...]:
    """The columns of the tables: values, or differences to the mean."""
    kinds: dict[str, Any] = {"per_hour": "ratio", "turnover": "ratio", "never": "number"}
    cells = [
        Column(key, title, "number" if differences else kinds.get(key, "integer"))
        for key, title in FIGURES.items()
    ]
    line = () if differences else (Column("months", "Checkouts by month", "spark"),)
    return (Column("name", "Branch"), *cells, *line)


@dataclass(frozen=True)
class Branches:
    """Circulation by hour, and the stock where there is any."""

    circulation: Circulation
    stock: collection.Collection | None

    @property
    def bounds(self) -> Bounds:
        """What can be chosen."""
        return self.circulation.bounds

    @property
    def branches(self) -> Mapping[str, str]:
        """Names of the branches by code."""
        return self.circulation.branches


def branches(viewer: Viewer) -> Branches | None:
    """What a viewer may know of the branches; None where there is no circulation."""
    known = circulation(viewer)
    return None if known.empty else Branches(known, collection.collection(viewer))


def figures(known: Branches, chosen: Selection) -> dict[str, Array]:
    """Every figure by branch, in the order of the branches; not a number where there is none."""
    hours = known.circulation
    span_of = hours.span(chosen) or slice(0, 0)
    sums = hours.by_day[:, span_of].sum(axis=1, dtype=np.int64)
    opened = hours.opened[:, span_of].sum(axis=(1, 2))
    lent = measured(sums, "checkouts")
    stock = _stock(known)
    return {
        **{name: measured(sums, name).astype(float) for name in ("checkouts", "total")},
        "in_house_uses": measured(sums, "in_house_uses").astype(float),
        "opened": opened.astype(float),
        "per_hour": ratio(lent, opened),
        "holdings": stock["holdings"],
        "turnover": ratio(stock["circulation"], stock["holdings"]),
        "never": ratio(stock["never_used"], stock["holdings"]) * 100,
    }


def _stock(known: Branches) -> dict[str, Array]:
    """Sums of the stock by branch."""
    codes = known.circulation.codes
    found = {key: np.zeros(len(codes)) for key in ("holdings", "circulation", "never_used")}
    for row in known.stock.held.stock if known.stock else ():
        if row["division"] == "collection" and row["branch_code"] in codes:
            for key, values in found.items():
                values[codes.index(row["branch_code"])] += row[key]
    return found


def mean(values: Array) -> float:
    """The mean over the branches that have the figure."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def difference(values: Array) -> Array:
    """The difference to the mean, in percent."""
    return (ratio(values, np.full(len(values), mean(values))) - 1) * 100


def compared(known: Branches, chosen: Selection) -> Table:
    """One figure of each branch beside the mean, the highest first."""
    name = chosen.get("figure")
    values = figures(known, chosen)[name]
    order = np.argsort(-np.nan_to_num(values, nan=-1), kind="stable")
    data: dict[str, list[Any]] = {
        "code": [known.circulation.codes[i] for i in order],
        "name": [known.circulation.names[i] for i in order],
        "value": rounded(values[order], 2),
        "mean": rounded(np.full(len(order), mean(values)), 2),
        "difference": rounded(difference(values)[order]),
    }
    covered = notes(known, chosen, joined(DEFINITIONS[name], COMPARED))
    return Table(
        "compared", _("{title} by branch", title=_(FIGURES[name])), BAR_COLUMNS, data, covered
    )


def table(known: Branches, chosen: Selection) -> Table:
    """Every figure of each branch."""
    found, months = figures(known, chosen), _months(known.circulation, chosen)
    records = []
    for place, name in enumerate(known.circulation.names):
        values = {key: rounded(found[key][[place]], 2)[0] for key in FIGURES}
        whole = [c.key for c in columns() if c.kind == "integer"]
        records.append({
            "name": name, "months": months[place],
            **{k: int(v) if k in whole and v is not None else v for k, v in values.items()},
        })  # fmt: skip
    covered = notes(known, chosen, TABLE)
    return table_of("table", "Branches side by side", columns(), records, covered)


def _months(hours: Circulation, chosen: Selection) -> list[list[int]]:
    """Checkouts of each branch in each month that the period touches."""
    span_of = hours.span(chosen) or slice(0, 0)
    days = measured(hours.by_day[:, span_of], "checkouts")
    first = day_number(chosen.start)
    months = np.arange(first, first + days.shape[1]).astype("datetime64[D]").astype("datetime64[M]")
    starts = np.flatnonzero(np.diff(months.astype(int), prepend=-(10**6)))
    found: list[list[int]] = np.add.reduceat(days, starts, axis=1).tolist()
    return found


def differences(known: Branches, chosen: Selection) -> Table:
    """Every figure of each branch as its difference to the mean, in percent."""
    found = {key: rounded(difference(values)) for key, values in figures(known, chosen).items()}
    data: dict[str, list[Any]] = {"name": list(known.circulation.names), **found}
    covered = notes(known, chosen, DIFFERENCES)
    return Table("differences", "Difference to the mean, %", columns(True), data, covered)


def notes(known: Branches, chosen: Selection, definition: str) -> list[str]:
    """What a table covers and means."""
    return [span(chosen), *scope(report.everywhere(chosen), known), definition]


def cards(known: Branches, chosen: Selection) -> list[Card]:
    """The mean of the figures that compare best, with the branch that is highest."""
    found = figures(known, chosen)
    made = []
    for name in ("checkouts", "per_hour", "turnover", "never"):
        values = found[name]
        top = "" if np.isnan(values).all() else known.circulation.names[int(np.nanargmax(values))]
        middle = mean(values)
        made.append(report.card(
            f"mean_{name}", FIGURES[name], "–" if np.isnan(middle) else number(middle),
            joined(DEFINITIONS[name], N_("Mean of the branches.")),
            note=_("mean of {count}; highest {branch}", count=len(values), branch=top),
        ))  # fmt: skip
    return made


MADE: Mapping[str, Callable[[Branches, Selection], Table]] = {
    "compared": compared,
    "table": table,
    "differences": differences,
}
REPORT: Report[Branches] = Report(
    "branches", reads=TABLES, load=branches, cards=cards, measures=MADE,
    selects=lambda _: SELECTS,
)  # fmt: skip
