"""Data quality: may the figures be trusted, what does not hold, since when, and how it went."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from bi_app.auth.sessions import SignedIn
from bi_app.charts.trend import Point, Trend
from bi_app.models import pipelines, quality, unusual
from bi_app.models.table import Column, Table
from bi_app.pages.shell import Cell, Controls, Page, following, sendable, serving
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("Data quality")
NOTHING = (
    N_("Nothing has been judged yet"),
    N_(
        "Scores and checks appear here as soon as a dataset has been loaded: carrel ingest"
        " <dataset>"
    ),
)
TREND_COLUMNS = (Column("day", "Day", "date"), Column("value", "Score", "number"))


class Found(NamedTuple):
    """What the page shows, as it is asked of the database."""

    now: quality.Standing
    failing: Table
    held: Table
    unusual: Table
    trend: list[Point]
    alerts: quality.Row


def prepare(viewer: Viewer) -> Found:
    """Ask the database for everything on the page."""
    now = quality.standing(viewer)
    trend: list[Point] = [(day, value, False) for day, value in quality.trend(viewer)]
    return Found(
        now,
        quality.failing(viewer),
        quality.held_records(viewer, now),
        unusual.unusual(viewer),
        trend,
        quality.alert_counts(viewer),
    )


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    found: Found = signed_in.prepared or prepare(signed_in.account.viewer)
    if not any(row["judged_at"] or row["started_at"] for row in found.now.datasets):
        return Page(TITLE, empty=NOTHING)
    chart = Trend("score")
    chart.show(found.trend, _("of 100"), format="0.0", top=100)
    controls = Controls(options={"flat": True}, **told(found))

    def show(now: Found) -> None:
        chart.show(now.trend, _("of 100"), format="0.0", top=100)
        controls.param.update(**told(now))

    viewer = signed_in.account.viewer
    following(controls, partial(pipelines.happened, viewer), lambda _query: prepare(viewer), show)
    return Page(
        TITLE, source="quality", controls=controls, cells=cells(chart), filters=False,
    )  # fmt: skip


def told(found: Found) -> dict[str, Any]:
    """What the browser is told."""
    return {
        "cards": quality.cards(found.now, found.failing, found.alerts),
        "notes": notes(found),
        "tables": tables(found),
    }


def tables(found: Found) -> dict[str, Any]:
    """The tables, with what stands in their place when they are empty."""
    return {
        "failing": {**sendable(found.failing), "none": _("Every check that was measured holds.")},
        "unusual": {**sendable(found.unusual), "none": _("No load was unlike those before it.")},
        "datasets": sendable(quality.datasets_table(found.now)),
        "rules": {**sendable(found.held), "none": _("No record of the newest loads is held back.")},
    }


def notes(found: Found) -> dict[str, str]:
    """Texts below the titles."""
    count = len(found.now.datasets)
    return {
        "failing": _("The gravest and oldest first; a check leads to its values over time"),
        "score": _("Of all datasets together, at the end of each day"),
        "unusual": _("Loads that were unlike their own history, in thirty days"),
        "datasets": _(
            "{count} datasets, the worst first; a score tells how it is worked out", count=count
        ),
        "rules": _("By dataset and rule; a dataset's page shows samples to those who may see them"),
    }


def cells(chart: Trend) -> list[Cell]:
    """The parts of the page."""
    return [
        Cell("failing", "Failing checks", quality.FAILING, kind="table", download="failing"),
        Cell("unusual", "Unusual", unusual.ABOUT, kind="table", search=False, download="unusual"),
        Cell("score", "Score over time", quality.TREND, [chart.figure], "score", TREND_COLUMNS),
        Cell("datasets", "Datasets", quality.OUTCOMES, kind="table", download="datasets", rows=15),
        Cell("rules", "Records held back", kind="table", download="rules"),
    ]


serving(__name__, build)
