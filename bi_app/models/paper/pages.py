"""The pages that can be printed: their reports, and how the tables of each are drawn.

What is not named in `drawings` stands as a table alone. The drawings follow the pages' own charts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bi_app.models import (
    annual_return,
    baskets,
    branch_report,
    collection,
    customers,
    fines,
    holds,
    lending_report,
    members,
    returned,
    sales,
    staffing,
)
from bi_app.models.lending import FACETS
from bi_app.models.paper.drawing import Drawing
from bi_app.models.report import Report

OVERVIEW = "overview"


@dataclass(frozen=True)
class Printed:
    """A report page: `measured` where one measure of circulation is chosen."""

    report: Report[Any]
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    measured: bool = False


CIRCULATION = Printed(
    lending_report.REPORT,
    {
        "over_time": Drawing("columns", "start", more="mean", also="mean_before"),
        **{f"by_{f}": Drawing("bars", "name", more="before") for f in FACETS},
    },
    measured=True,
)
BUSY_HOURS = Printed(
    staffing.REPORT,
    {
        "week": Drawing("heat", "from", row="row"),
        "branches": Drawing("bars", "name"),
        "branch_hours": Drawing("heat", "from", row="row"),
    },
    measured=True,
)
COLLECTION = Printed(
    collection.REPORT,
    {
        "turnover": Drawing("bars", "name", "turnover", more="whole", series="checkouts"),
        "relative_use": Drawing("bars", "name", "relative_use", series="total", line=1),
        "age": Drawing("bars", "name", series="returns"),
    },
)
HOLDS = Printed(
    holds.REPORT,
    {
        "waits": Drawing("columns", "name", more="most", series="checkouts"),
        "ages": Drawing("bars", "name", series="renewals"),
        "states": Drawing("bars", "name", "active", series="total"),
    },
)
FINES = Printed(
    fines.REPORT,
    {
        "months": Drawing("columns", "name", more="paid", series="in_house_uses"),
        "overdue": Drawing("bars", "name", series="renewals"),
        "owed": Drawing("bars", "name", series="in_house_uses"),
    },
)
BRANCHES = Printed(
    branch_report.REPORT,
    {"compared": Drawing("bars", "name", more="mean", series="checkouts")},
)
MEMBERS = Printed(
    members.REPORT,
    {
        "active": Drawing("columns", "month", "borrowers", more="active_12_months",
                          series="checkouts"),
        "groups": Drawing("bars", "name", more="before", series="checkouts"),
        "where": Drawing("bars", "name", series="total"),
        "cohorts": Drawing("heat", "since", row="row", series="checkouts"),
    },
)  # fmt: skip
SALES = Printed(
    sales.REPORT,
    {
        "over_time": Drawing("columns", "start", more="mean", series="checkouts"),
        "by_country": Drawing("bars", "name", more="before", series="checkouts"),
        "by_segment": Drawing("bars", "name", more="before", series="checkouts"),
        "by_hour": Drawing("columns", "name", series="checkouts"),
        "products": Drawing("bars", "name", more="before", series="checkouts"),
    },
)
RETURNS = Printed(
    returned.REPORT,
    {
        "months": Drawing("columns", "name", series="returns"),
        "outcomes": Drawing("bars", "name", series="total"),
        "by_stock_code": Drawing("bars", "name", series="returns"),
        "by_country": Drawing("bars", "name", series="returns"),
    },
)
CUSTOMERS = Printed(
    customers.REPORT,
    {
        "segments": Drawing("bars", "name", more="before", series="checkouts"),
        "over_months": Drawing("columns", "month", "borrowers", more="active_12_months",
                               series="checkouts"),
        "cohorts": Drawing("heat", "since", row="row", series="checkouts"),
    },
)  # fmt: skip
BASKETS = Printed(
    baskets.REPORT, {"strongest": Drawing("bars", "name", "lift", series="total", line=1)}
)
PRINTED: Mapping[str, Printed] = {
    one.report.name: one
    for one in (CIRCULATION, BUSY_HOURS, COLLECTION, HOLDS, FINES, BRANCHES, MEMBERS,
                Printed(annual_return.REPORT), SALES, RETURNS, CUSTOMERS, BASKETS)
}  # fmt: skip
OVERVIEW_DRAWINGS: Mapping[str, Drawing] = {
    "daily": Drawing("columns", "day", "", more="mean"),
    "busy": Drawing("heat", "hour", "", row="weekday", per="days"),
    "branches": Drawing("bars", "name", ""),
}
PAGES = (OVERVIEW, *PRINTED)
