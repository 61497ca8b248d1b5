"""Circulation by day, branch and kind of material: held as an array, filtered there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bi_app.models.circulation import Array, identifier
from bi_app.models.measures import COUNTED, MEASURES
from bi_app.models.selection import Bounds, Selection, day_number, day_of
from bi_app.models.store import held
from bi_app.models.titles import collection_name
from bi_app.queries import numbers, rows
from bi_app.words import N_, _
from warehouse.access import Viewer

TABLE = "gold.library_circulation_kinds"
COLUMNS = (("branch", "i2"), ("day", "i4"), ("kind", "i2"), *((m, "i4") for m in COUNTED))
DEWEY = {
    "000": N_("General works, computing"),
    "100": N_("Philosophy, psychology"),
    "200": N_("Religion"),
    "300": N_("Social sciences"),
    "400": N_("Language"),
    "500": N_("Science"),
    "600": N_("Technology"),
    "700": N_("Arts, recreation"),
    "800": N_("Literature"),
    "900": N_("History, geography"),
    "none": N_("Shelved otherwise"),
}
NOT_HELD = N_("Not in the catalogue")
KEPT = 96
FACETS = ("branch", "item_type", "dewey")


def dewey_name(code: str) -> str:
    """A Dewey class as words: 500 Science."""
    return f"{code} {DEWEY[code]}" if code.isdigit() and code in DEWEY else DEWEY.get(code, code)


@dataclass(frozen=True)
class Facet:
    """One way to divide circulation: its values with their names."""

    codes: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Lending:
    """Counts by counted measure, branch, kind and day, as 32-bit integers.

    `first` is the day number of the first day. A kind is a pair of item type and Dewey class:
    `of_kind` holds, by facet, the place of each kind's value in the facet's codes.
    """

    facets: dict[str, Facet]
    first: int
    of_kind: dict[str, Array]
    counts: Array
    memo: dict[Any, Array] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def bounds(self) -> Bounds:
        """What can be chosen."""
        last = self.first + self.counts.shape[3] - 1
        return Bounds(day_of(self.first), day_of(last), self.facets["branch"].codes)

    @cached_property
    def branches(self) -> dict[str, str]:
        """Names of the branches by code."""
        facet = self.facets["branch"]
        return dict(zip(facet.codes, facet.names, strict=True))

    def _kept(self, key: Any, work: Callable[[], Array]) -> Array:
        """What was worked out before; a few answers are kept, as one choice asks them often."""
        found = self.memo.get(key)
        if found is None:
            if len(self.memo) > KEPT:
                self.memo.clear()
            found = self.memo[key] = work()
        return found

    def wanted(self, facet: str, chosen: Selection) -> Any:
        """Which branches, or kinds as far as this facet goes, the choice covers."""
        codes = self.facets[facet].codes
        if facet == "branch":
            return [codes.index(c) for c in chosen.branches] or slice(None)
        asked = chosen.get(facet)
        every = np.ones(len(self.of_kind[facet]), bool)
        return self.of_kind[facet] == codes.index(asked) if asked else every

    def days(self, chosen: Selection, measure: str) -> Array:
        """The sum of each day there is."""
        key = ("days", measure, chosen.branches, *(chosen.get(f) for f in FACETS[1:]))
        return self._kept(key, lambda: self._days(chosen, measure))

    def _days(self, chosen: Selection, measure: str) -> Array:
        kinds = self.wanted("item_type", chosen) & self.wanted("dewey", chosen)
        total = np.zeros(self.counts.shape[3], np.int64)
        for part in MEASURES[measure].parts:
            here = self.counts[COUNTED.index(part)][self.wanted("branch", chosen)]
            here = here if kinds.all() else here[:, kinds]
            total += here.sum(axis=(0, 1), dtype=np.int64)
        return total

    def by(self, facet: str, chosen: Selection, measure: str) -> Array | None:
        """Sums by the values of a facet, over what the other facets leave; None before the data."""
        if day_number(chosen.start) < self.first:
            return None
        cells = self._cells(chosen, measure)
        if facet != "branch":
            cells = cells[self.wanted("branch", chosen)]
        for other in FACETS[1:]:
            if other != facet:
                cells = cells * self.wanted(other, chosen)
        if facet == "branch":
            total: Array = cells.sum(axis=1)
            return total
        length = len(self.facets[facet].codes)
        return np.bincount(self.of_kind[facet], weights=cells.sum(axis=0), minlength=length)

    def _cells(self, chosen: Selection, measure: str) -> Array:
        """Sums by branch and kind over the period."""
        start, end = day_number(chosen.start) - self.first, day_number(chosen.end) - self.first

        def work() -> Array:
            parts = [COUNTED.index(part) for part in MEASURES[measure].parts]
            total: Array = sum(
                self.counts[part, :, :, start : end + 1].sum(axis=2, dtype=np.int64)
                for part in parts
            )
            return total

        return self._kept(("cells", measure, start, end), work)


def lending(viewer: Viewer) -> Lending | None:
    """The circulation by kind that a viewer may see; None where there is none."""
    return held(viewer, (TABLE,), load_lending)


def load_lending(viewer: Viewer) -> Lending | None:
    """Read the whole table that the viewer may see."""
    branches = rows(viewer, "branches", circulation=identifier(TABLE))
    kinds = rows(viewer, "kinds")
    codes = [b["branch_code"] for b in branches]
    asked = {"codes": codes, "kinds": [k["kind"] for k in kinds]}
    found = numbers(viewer, "circulation_kinds", COLUMNS, asked)
    if not len(found):
        return None
    types = sorted({k["item_type"] for k in kinds})
    classes = sorted({k["dewey_class"] for k in kinds})
    facets = {
        "branch": Facet(tuple(codes), tuple(b["name"] for b in branches)),
        "item_type": Facet(tuple(types), tuple(map(type_name, types))),
        "dewey": Facet(tuple(classes), tuple(map(dewey_name, classes))),
    }
    of_kind = {
        "item_type": np.array([types.index(k["item_type"]) for k in kinds]),
        "dewey": np.array([classes.index(k["dewey_class"]) for k in kinds]),
    }
    first, last = int(found["day"].min()), int(found["day"].max())
    counts = np.zeros((len(COUNTED), len(codes), len(kinds), last - first + 1), np.int32)
    for place, measure in enumerate(COUNTED):
        counts[place, found["branch"], found["kind"], found["day"] - first] = found[measure]
    return Lending(facets, first, of_kind, counts)


def type_name(code: str) -> str:
    """A kind of material as words."""
    return NOT_HELD if code == "unknown" else collection_name(code)


def named(facet: str, name: str) -> str:
    """A facet's value in the language of the task: Dewey's classes, and words of our own."""
    number, _space, words = name.partition(" ")
    return f"{number} {_(words)}" if facet == "dewey" and number.isdigit() else _(name)


def columns_by(facet: str) -> Any:
    """What a table by this facet is called."""
    return {"branch": "Branch", "item_type": "Kind of material", "dewey": "Dewey class"}[facet]
