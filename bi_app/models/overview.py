"""The overview's figures for one selection: cards, days, hours, branches, titles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bi_app import words
from bi_app.models import measures
from bi_app.models.circulation import Array, Circulation, measured
from bi_app.models.measures import MEASURES
from bi_app.models.selection import Selection, day_of
from bi_app.models.table import Column, Table
from bi_app.models.titles import TitleMonths
from bi_app.words import _

TOP = 100
SPARKS = 32


@dataclass(frozen=True)
class View:
    """What a viewer sees for a selection; everything is worked out when it is asked for."""

    circulation: Circulation
    titles: TitleMonths
    chosen: Selection

    @property
    def measure(self) -> str:
        """The chosen measure."""
        return self.chosen.measure

    @cached_property
    def days(self) -> Array:
        """All days there are, by day and measure."""
        return self.circulation.days(self.chosen)

    @cached_property
    def now(self) -> Array:
        """The chosen days, by day and measure."""
        return self.days[self.circulation.span(self.chosen)]

    @cached_property
    def before(self) -> Array | None:
        """The days of the period before; None where the data does not reach so far back."""
        span = self.circulation.span(self.chosen.before)
        return None if span is None else self.days[span]

    def cards(self) -> list[dict[str, Any]]:
        """One card a measure, then checkouts per open day."""
        cards = [self._card(name) for name in MEASURES]
        return [*cards, self._per_day()]

    def _card(self, name: str) -> dict[str, Any]:
        values = measured(self.now, name)
        before = None if self.before is None else int(measured(self.before, name).sum())
        return {
            "name": name,
            "title": _(MEASURES[name].title),
            "definition": _(MEASURES[name].definition),
            "value": words.whole(int(values.sum())),
            "change": change(float(values.sum()), before),
            "spark": spark(values),
        }

    def _per_day(self) -> dict[str, Any]:
        value = per_open_day(self.now)
        before = None if self.before is None else per_open_day(self.before)
        return {
            "name": "per_day",
            "title": _("Checkouts per open day"),
            "definition": _(measures.PER_DAY),
            "value": words.decimal(value, 0 if value >= 100 else 1),
            "change": change(value, before),
            "spark": [],
        }

    @property
    def empty(self) -> bool:
        """Whether the measure did not occur at all in the period."""
        return not measured(self.now, self.measure).any()

    def day_values(self) -> Array:
        """The chosen measure on each day there is."""
        return measured(self.days, self.measure)

    def hour_values(self) -> tuple[Array, Array]:
        """The chosen measure by weekday and hour, and how often each weekday occurs.

        The hours are those of `hours`.
        """
        sums, weekdays = self.circulation.weekday_hours(self.chosen)
        first, hours = self.circulation.hours.start, self.hours
        return measured(sums, self.measure)[:, hours.start - first : hours.stop - first], weekdays

    @property
    def hours(self) -> range:
        """The hours of the day in which the chosen measure occurs, in any period."""
        return self.circulation.hours_of(self.measure)

    def branch_frame(self) -> dict[str, list[Any]]:
        """Branches, busiest first: value, period before, change, and whether it is chosen."""
        known = self.circulation
        now = measured(known.by_branch(self.chosen), self.measure)  # type: ignore[arg-type]
        counts = known.by_branch(self.chosen.before)
        before = [float("nan")] * len(now) if counts is None else measured(counts, self.measure)
        order = np.argsort(-now, kind="stable")
        chosen = set(self.chosen.branches) or set(known.codes)
        return {
            "code": [known.codes[i] for i in order],
            "name": [known.names[i] for i in order],
            "value": [int(now[i]) for i in order],
            "before": [float(before[i]) for i in order],
            "before_text": [_count(before[i]) for i in order],
            "change": [_words(change(float(now[i]), _known(before[i]))) for i in order],
            "alpha": [0.9 if known.codes[i] in chosen else 0.22 for i in order],
        }

    def top_titles(self) -> list[dict[str, Any]]:
        """The titles with most checkouts."""
        places = [self.circulation.codes.index(c) for c in self.chosen.branches]
        return self.titles.top(self.chosen, places, TOP)

    def title_frame(self) -> dict[str, list[Any]]:
        """The titles as columns."""
        return columns_of(self.top_titles(), TITLE_COLUMNS)

    def table(self, name: str) -> Table:
        """One of the tables that can be downloaded.

        Raises:
            KeyError: there is no such table.
        """
        return {
            "daily": self._daily_table,
            "busy": self._busy_table,
            "branches": self._branch_table,
            "titles": self._title_table,
        }[name]()

    def _daily_table(self) -> Table:
        first = self.chosen.start
        days = [day_of((first - day_of(0)).days + i) for i in range(len(self.now))]
        data = {"day": days} | {m: measured(self.now, m).tolist() for m in MEASURES}
        columns = [Column("day", "Day", "date"), *_measure_columns()]
        return Table("daily", "Circulation by day", columns, data, self._notes(measures.DAILY))

    def _busy_table(self) -> Table:
        sums, weekdays = self.circulation.weekday_hours(self.chosen)
        hours = list(self.circulation.hours)
        data: dict[str, list[Any]] = {
            "weekday": [words.weekday(w) for w in range(7) for _hour in hours],
            "hour": [h for _day in range(7) for h in hours],
            "days": [int(weekdays[w]) for w in range(7) for _hour in hours],
        }
        data |= {m: measured(sums, m).ravel().tolist() for m in MEASURES}
        columns = [
            Column("weekday", "Weekday"),
            Column("hour", "Hour from", "integer"),
            Column("days", "Such days", "integer"),
            *_measure_columns(),
        ]
        return Table("busy", "By weekday and hour", columns, data, self._notes(measures.BUSY))

    def _branch_table(self) -> Table:
        known = self.circulation
        counts = known.by_branch(self.chosen)
        data: dict[str, list[Any]] = {"code": list(known.codes), "name": list(known.names)}
        data |= {m: measured(counts, m).tolist() for m in MEASURES}  # type: ignore[arg-type]
        columns = [Column("code", "Code"), Column("name", "Branch"), *_measure_columns()]
        notes = self._notes(measures.BRANCHES)
        return Table("branches", "Circulation by branch", columns, data, notes)

    def _title_table(self) -> Table:
        data, notes = self.title_frame(), self._notes(measures.TITLES)
        return Table("titles", "Top titles", TITLE_COLUMNS, data, notes)

    def _notes(self, definition: str) -> list[str]:
        names = dict(zip(self.circulation.codes, self.circulation.names, strict=True))
        chosen = ", ".join(names[c] for c in self.chosen.branches) or _("all that you may see")
        start, end = words.day(self.chosen.start), words.day(self.chosen.end)
        return [
            _("Period: {start} to {end}", start=start, end=end),
            _("Branches: {branches}", branches=chosen),
            definition,
        ]


TITLE_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("collection", "Collection"),
    Column("checkouts", "Checkouts", "integer"),
    Column("renewals", "Renewals", "integer"),
    Column("copies", "Copies", "integer"),
)


def columns_of(
    records: Sequence[dict[str, Any]], columns: Sequence[Column]
) -> dict[str, list[Any]]:
    """Records as columns."""
    return {c.key: [r[c.key] for r in records] for c in columns}


def _measure_columns() -> list[Column]:
    return [Column(m.name, m.title, "integer") for m in MEASURES.values()]


def per_open_day(days: Array) -> float:
    """Mean checkouts over the days with any event."""
    opened = int(days.any(axis=1).sum())
    return float(measured(days, "checkouts").sum() / opened) if opened else 0.0


def change(now: float, before: float | None) -> float | None:
    """Change in percent; None where there is nothing to compare with."""
    return None if not before else round((now / before - 1) * 100, 1)


def spark(values: Array) -> list[int]:
    """At most 32 sums of equal spans, scaled to 0..100, for a line without axes."""
    if len(values) < 2:
        return []
    edges = np.linspace(0, len(values), min(SPARKS, len(values)) + 1).astype(int)
    widths = np.diff(edges)
    means = np.add.reduceat(values, edges[:-1]) / widths
    top = means.max()
    return [int(v) for v in np.round(means / top * 100)] if top else []


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _count(value: float) -> str:
    return _("no data") if math.isnan(value) else words.whole(int(value))


def _words(percent: float | None) -> str:
    return _("no comparison") if percent is None else f"{words.localized(f'{percent:+.1f}')} %"
