"""Hourly circulation of one scope, held as an array and filtered there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from psycopg import sql

from bi_app.models.measures import COUNTED, MEASURES
from bi_app.models.selection import Bounds, Selection, day_number, day_of
from bi_app.models.store import held
from bi_app.queries import numbers, rows
from warehouse.access import Viewer

Array = np.ndarray[Any, Any]
COLUMNS = (("branch", "i2"), ("day", "i4"), ("hour", "i2"), *((m, "i4") for m in COUNTED))
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # as they stand in addresses


@dataclass(frozen=True)
class Circulation:
    """Counts by branch, day, hour and measure (the order of COUNTED), as 32-bit integers.

    `first` is the day number of the first day, `first_hour` the hour of the first column.
    """

    codes: tuple[str, ...]
    names: tuple[str, ...]
    first: int
    first_hour: int
    counts: Array

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return self.counts.size == 0

    @cached_property
    def bounds(self) -> Bounds:
        """What can be chosen."""
        last = self.first + self.counts.shape[1] - 1
        return Bounds(day_of(self.first), day_of(last), self.codes)

    @cached_property
    def by_day(self) -> Array:
        """Counts by branch, day and measure."""
        total: Array = self.counts.sum(axis=2, dtype=np.int32)
        return total

    @cached_property
    def branches(self) -> dict[str, str]:
        """Names of the branches by code."""
        return dict(zip(self.codes, self.names, strict=True))

    @cached_property
    def opened(self) -> Array:
        """Whether the desk was at work, by branch, day and hour: any event but a renewal."""
        desk = [i for i, name in enumerate(COUNTED) if name != "renewals"]
        found: Array = np.any(self.counts[..., desk] > 0, axis=-1)
        return found

    @property
    def hours(self) -> range:
        """The hours of the day that occur."""
        return range(self.first_hour, self.first_hour + self.counts.shape[2])

    @cached_property
    def _by_hour(self) -> Array:
        total: Array = self.counts.sum(axis=(0, 1), dtype=np.int64)
        return total

    def hours_of(self, measure: str) -> range:
        """The hours of the day from the first to the last in which a measure occurs."""
        (busy,) = np.nonzero(measured(self._by_hour, measure))
        if not len(busy):
            return self.hours
        return self.hours[int(busy[0]) : int(busy[-1]) + 1]

    def days(self, chosen: Selection) -> Array:
        """Every day there is, by day and measure, at the chosen branches."""
        total: Array = self.by_day[self._branches(chosen)].sum(axis=0)
        return total

    def span(self, chosen: Selection) -> slice | None:
        """The chosen days as a slice of the day axis; None when they reach out of it."""
        start, end = day_number(chosen.start) - self.first, day_number(chosen.end) - self.first
        return slice(start, end + 1) if start >= 0 and end < self.counts.shape[1] else None

    def weekday_hours(self, chosen: Selection) -> tuple[Array, Array]:
        """Sums by weekday (Monday first), hour and measure; and how often each weekday occurs."""
        span = self.span(chosen) or slice(0, 0)
        days: Array = self.counts[self._branches(chosen), span].sum(axis=0, dtype=np.int64)
        weekday = (np.arange(len(days)) + chosen.start.weekday()) % 7
        sums = np.stack([days[weekday == w].sum(axis=0) for w in range(7)])
        return sums, np.bincount(weekday, minlength=7)

    def by_branch(self, chosen: Selection) -> Array | None:
        """Sums by branch (all of them) and measure; None where there is no data so early."""
        span = self.span(chosen)
        if span is None:
            return None
        total: Array = self.by_day[:, span].sum(axis=1)
        return total

    def _branches(self, chosen: Selection) -> Any:
        if not chosen.branches:
            return slice(None)
        return [self.codes.index(c) for c in chosen.branches]


def measured(counts: Array, measure: str) -> Array:
    """A measure out of the last axis."""
    first, *others = (counts[..., COUNTED.index(p)] for p in MEASURES[measure].parts)
    for other in others:
        first = first + other
    return first


def tables_of(viewer: Viewer) -> tuple[str, str]:
    """The circulation and title tables that a role reads."""
    end = "_public" if viewer.role == "member" else ""
    return f"gold.library_circulation{end}", f"gold.library_title_months{end}"


def public(viewer: Viewer) -> Viewer:
    """A member asks for public figures without the own key, so that all share one copy."""
    return Viewer(viewer.user, "member") if viewer.role == "member" else viewer


def identifier(table: str) -> sql.Identifier:
    """The identifier of one of our own tables."""
    return sql.Identifier(*table.split("."))


def circulation(viewer: Viewer) -> Circulation:
    """The circulation that a viewer may see."""
    return held(public(viewer), tables_of(viewer)[:1], load)


def load(viewer: Viewer) -> Circulation:
    """Read the whole table that the viewer may see."""
    table = identifier(tables_of(viewer)[0])
    branches = rows(viewer, "branches", circulation=table)
    codes = [b["branch_code"] for b in branches]
    found = numbers(viewer, "circulation", COLUMNS, {"codes": codes}, circulation=table)
    return _cube(tuple(codes), tuple(b["name"] for b in branches), found)


def _cube(codes: tuple[str, ...], names: tuple[str, ...], found: Array) -> Circulation:
    if not len(found):
        return Circulation(codes, names, 0, 0, np.zeros((0, 0, 0, len(COUNTED)), np.int32))
    first, last = found["day"].min(), found["day"].max()
    opens, closes = found["hour"].min(), found["hour"].max()
    shape = (len(codes), last - first + 1, closes - opens + 1, len(COUNTED))
    counts = np.zeros(shape, np.int32)
    place = (found["branch"], found["day"] - first, found["hour"] - opens)
    for axis, name in enumerate(COUNTED):
        counts[(*place, axis)] = found[name]
    return Circulation(codes, names, int(first), int(opens), counts)
