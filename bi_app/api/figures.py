"""Figures of the pages that are no reports, as tables: the cards on top, and lines by day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bi_app.models import activity, alerts, measures, people, pipelines, quality, schedule, sign_ins
from bi_app.models.my_history import my_history
from bi_app.models.my_loans import my_loans
from bi_app.models.table import Column, Table
from warehouse.access import Viewer

FIGURES = "figures"
COLUMNS = (
    Column("name", "Name"),
    Column("title", "Title"),
    Column("value", "Value", "number"),
    Column("text", "As the page shows it"),
    Column("note", "Note"),
    Column("change", "Change in percent", "percent"),
    Column("definition", "Definition"),
)
WEEK = 7  # days: what the page of sign-ins opens with
Point = tuple[Any, float | None, bool]


def card_table(cards: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> Table:
    """Cards as a table; the value of one that is a whole number is read from its text."""
    data = {
        "name": [c["name"] for c in cards],
        "title": [c["title"] for c in cards],
        "value": [values.get(c["name"], _number(c["value"])) for c in cards],
        "text": [c["value"] for c in cards],
        "note": [c.get("note") for c in cards],
        "change": [c.get("change") for c in cards],
        "definition": [c["definition"] for c in cards],
    }
    return Table(FIGURES, "In figures", COLUMNS, data, [measures.CHANGE])


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def judged(viewer: Viewer) -> Sequence[Mapping[str, Any]]:
    """The cards of the quality page."""
    now = quality.standing(viewer)
    return quality.cards(now, quality.failing(viewer), quality.alert_counts(viewer))


def signed_in(viewer: Viewer) -> Sequence[Mapping[str, Any]]:
    """The cards of the page of sign-ins, for a week."""
    accounts, addresses = (sign_ins.tried(viewer, by, WEEK) for by in ("account", "address"))
    return sign_ins.cards(sign_ins.live(viewer), accounts, addresses, sign_ins.SPANS[str(WEEK)])


def acts(viewer: Viewer) -> Sequence[Mapping[str, Any]]:
    """The cards of the activity page as it opens."""
    chosen = activity.choice({})
    return activity.cards(activity.facts(viewer, chosen.days), chosen)


CARDS: dict[str, Callable[[Viewer], Sequence[Mapping[str, Any]]]] = {
    "my_loans": lambda viewer: my_loans(viewer).cards(),
    "my_history": lambda viewer: my_history(viewer).cards(),
    "quality": judged,
    "pipelines": lambda viewer: pipelines.cards(quality.standing(viewer), schedule.next_runs()),
    "alerts": lambda viewer: alerts.cards(alerts.inbox(viewer, everything=False)),
    "people": lambda viewer: people.cards(people.found(viewer)),
    "sign_ins": signed_in,
    "activity": acts,
}


def by_day(name: str, title: str, points: Sequence[Point], value: Column) -> Table:
    """A line of a page: a day and its value a row."""
    data = {"day": [p[0] for p in points], value.key: [p[1] for p in points]}
    return Table(name, title, (Column("day", "Day", "date"), value), data)


def score(viewer: Viewer) -> Table:
    """The health score of all by day, for whom PostgreSQL lets see how the datasets stand."""
    quality.standing(viewer)
    points = [(day, value, False) for day, value in quality.trend(viewer)]
    return by_day("score", "Health score", points, Column("score", "Score", "number"))


def attempts(viewer: Viewer) -> Table:
    """Failed sign-ins by day."""
    column = Column("attempts", "Failed sign-ins", "integer")
    return by_day("attempts", "Failed sign-ins by day", sign_ins.attempts(viewer), column)


def entries(viewer: Viewer) -> Table:
    """The newest entries of the audit log, as the activity page opens."""
    return activity.entries_table(viewer, activity.choice({}))


LINES: dict[str, Callable[[Viewer], Table]] = {
    "quality.score": score,
    "sign_ins.attempts": attempts,
    "activity.activity": entries,
}


def table(viewer: Viewer, name: str) -> Table | None:
    """The table of a figure of ours by its name, `<page>.<part>`; None where it is none of ours."""
    page, _, part = name.partition(".")
    if part == FIGURES:
        return card_table(CARDS[page](viewer), {})
    return LINES[name](viewer) if name in LINES else None
