"""The sums of the sales that the stream folds: held as an array, summed up there.

Each dimension adds up to the same; orders, late events and duplicates stand beside, by day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bi_app.models.circulation import Array
from bi_app.models.selection import Bounds, Selection, day_number, day_of
from bi_app.models.shop import SALES, SUMS, NoBranches, shop
from bi_app.models.store import held
from bi_app.queries import columns, rows
from warehouse.access import Viewer

TABLES = (SUMS,)
DIMENSIONS = ("total", "country", "segment", "hour", "known_customer")
SUMMED = ("lines", "sales", "pieces", "gross", "cancellations", "cancelled", "net", "nameless")
BESIDE = ("orders", "late", "folded", "duplicates")


@dataclass(frozen=True)
class Sums:
    """Sums of one dimension: `sums` by value, day and measure (the order of SUMMED)."""

    values: tuple[str, ...]
    sums: Array


@dataclass(frozen=True)
class Sales(NoBranches):
    """What staff know of the sales. `first` is the first day's number; `beside` is by day.

    `restated` holds when a day was restated, by day; `partitions` rows of the query of that name.
    """

    first: int
    by: Mapping[str, Sums]
    beside: Array
    restated: Mapping[int, dt.datetime]
    partitions: Sequence[Mapping[str, Any]]
    viewer: Viewer

    @cached_property
    def bounds(self) -> Bounds:
        """The first and last day with a sale."""
        return Bounds(day_of(self.first), day_of(self.first + len(self.beside) - 1), ())

    def days(self, measure: str, dimension: str = "total") -> Array:
        """A measure of a dimension, by value and day."""
        found: Array = self.by[dimension].sums[..., SUMMED.index(measure)]
        return found

    def days_of(self, measure: str, dimension: str = "", value: str = "") -> Array:
        """A measure by day, of one value of a dimension or of everything."""
        if not value:
            whole: Array = self.days(measure).sum(axis=0)
            return whole
        found: Array = self.days(measure, dimension)[self.by[dimension].values.index(value)]
        return found

    def count(self, kind: str) -> Array:
        """Orders, late events, those folded in, or duplicates, by day."""
        found: Array = self.beside[:, BESIDE.index(kind)]
        return found

    def span(self, chosen: Selection) -> slice:
        """The chosen days, as far as there are any."""
        start, end = day_number(chosen.start) - self.first, day_number(chosen.end) - self.first
        return slice(max(start, 0), max(end + 1, 0))


def sales(viewer: Viewer) -> Sales | None:
    """The sales that a viewer may see; None where there is none yet."""
    found = held(viewer, TABLES, load_sales)
    return found if len(found.beside) else None


def load_sales(viewer: Viewer) -> Sales:
    """Read the sums of all days."""
    found = columns(viewer, "sales_sums", {"dimensions": list(DIMENSIONS)})
    beside = rows(viewer, "sales_beside", {"zone": shop().timezone})
    asked = {"stream": SALES, "topic": shop().topic}
    partitions = rows(viewer, "sales_partitions", asked)
    numbers = np.array([day_number(d) for d in found.get("day", ())], int)
    if not len(numbers):
        return Sales(0, {}, np.zeros((0, len(BESIDE))), {}, partitions, viewer)
    first, length = int(numbers.min()), int(numbers.max() - numbers.min()) + 1
    restated = {
        int(day) - first: at
        for day, at, of in zip(numbers, found["restated_at"], found["dimension"], strict=True)
        if at and of == "total"
    }
    by = {d: _sums(d, found, numbers - first, length) for d in DIMENSIONS}
    return Sales(first, by, _beside(beside, first, length), restated, partitions, viewer)


def _sums(dimension: str, found: Mapping[str, Sequence[Any]], days: Array, length: int) -> Sums:
    here = np.array([d == dimension for d in found["dimension"]], bool)
    names = np.array(found["value"], object)[here]
    values = sorted(set(names))
    places = {name: n for n, name in enumerate(values)}
    cube = np.zeros((len(values), length, len(SUMMED)))
    at = np.array([places[n] for n in names], int)
    for axis, measure in enumerate(SUMMED):
        cube[at, days[here], axis] = np.array(found[measure], float)[here]
    return Sums(tuple(values), cube)


def _beside(found: Sequence[Mapping[str, Any]], first: int, length: int) -> Array:
    """Counts by day; those of days before or after all sums are at the nearest end."""
    counts = np.zeros((length, len(BESIDE)))
    for row in found:
        place = min(max(day_number(row["day"]) - first, 0), length - 1)
        counts[place, BESIDE.index(row["kind"])] += row["events"]
        if row["folded"]:
            counts[place, BESIDE.index("folded")] += row["folded"]
    return counts
