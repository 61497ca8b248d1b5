"""Circulation by day, branch and kind of material: held as sorted columns, filtered there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bi_app.models.circulation import Array, identifier
from bi_app.models.measures import COUNTED, MEASURES
from bi_app.models.selection import Bounds, Selection, day_number, day_of
from bi_app.models.store import held
from bi_app.models.titles import collection_name
from bi_app.queries import numbers, rows
from warehouse.access import Viewer

TABLE = "gold.library_circulation_kinds"
COLUMNS = (("branch", "i2"), ("day", "i4"), ("kind", "i2"), *((m, "i4") for m in COUNTED))
DEWEY = {
    "000": "General works, computing",
    "100": "Philosophy, psychology",
    "200": "Religion",
    "300": "Social sciences",
    "400": "Language",
    "500": "Science",
    "600": "Technology",
    "700": "Arts, recreation",
    "800": "Literature",
    "900": "History, geography",
    "none": "Shelved otherwise",
}
FACETS = ("branch", "item_type", "dewey")


def dewey_name(code: str) -> str:
    """A Dewey class as words: 500 Science."""
    return f"{code} {DEWEY[code]}" if code.isdigit() and code in DEWEY else DEWEY.get(code, code)


@dataclass(frozen=True)
class Facet:
    """One way to divide circulation: its values with their names."""

    codes: tuple[str, ...]
    names: tuple[str, ...]

    def place(self, code: str) -> int:
        """Where a value stands."""
        return self.codes.index(code)


@dataclass(frozen=True)
class Lending:
    """One entry a branch, day and kind with an event, in order of `day` (days since 1970).

    `places` holds, by facet, the place of each entry's value in the facet's codes; `counts`, by
    counted measure, 32-bit integers.
    """

    facets: dict[str, Facet]
    day: Array
    places: dict[str, Array]
    counts: dict[str, Array]

    @cached_property
    def bounds(self) -> Bounds:
        """What can be chosen."""
        first, last = day_of(self.day[0]), day_of(self.day[-1])
        return Bounds(first, last, self.facets["branch"].codes)

    @cached_property
    def branches(self) -> dict[str, str]:
        """Names of the branches by code."""
        facet = self.facets["branch"]
        return dict(zip(facet.codes, facet.names, strict=True))

    @property
    def first(self) -> int:
        """The day number of the first day."""
        return int(self.day[0])

    def values(self, measure: str) -> Array:
        """A measure of every entry."""
        first, *others = (self.counts[part] for part in MEASURES[measure].parts)
        for other in others:
            first = first + other
        return first

    def wanted(self, chosen: Selection, but: str = "") -> Array | None:
        """Which entries the choice covers, `but` one facet's; None for all of them."""
        asked = {
            "branch": chosen.branches,
            **{f: (chosen.get(f),) if chosen.get(f) else () for f in FACETS[1:]},
        }
        found: Array | None = None
        for name, codes in asked.items():
            if codes and name != but:
                kept = np.zeros(len(self.facets[name].codes), bool)
                kept[[self.facets[name].place(c) for c in codes]] = True
                here = kept[self.places[name]]
                found = here if found is None else found & here
        return found

    def days(self, chosen: Selection, measure: str) -> Array:
        """The sum of each day there is."""
        wanted, values = self.wanted(chosen), self.values(measure)
        weights = values if wanted is None else values * wanted
        length = int(self.day[-1]) - self.first + 1
        total: Array = np.bincount(self.day - self.first, weights=weights, minlength=length)
        return total

    def by(self, facet: str, chosen: Selection, measure: str) -> Array | None:
        """Sums by the values of a facet, over what the other facets leave; None before the data."""
        if day_number(chosen.start) < self.first:
            return None
        start = np.searchsorted(self.day, day_number(chosen.start), "left")
        end = np.searchsorted(self.day, day_number(chosen.end), "right")
        here = slice(int(start), int(end))
        weights, wanted = self.values(measure)[here], self.wanted(chosen, facet)
        if wanted is not None:
            weights = weights * wanted[here]
        length = len(self.facets[facet].codes)
        total: Array = np.bincount(self.places[facet][here], weights=weights, minlength=length)
        return total


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
    found = found[np.argsort(found["day"], kind="stable")]
    types = sorted({k["item_type"] for k in kinds})
    classes = sorted({k["dewey_class"] for k in kinds})
    of_type = np.array([types.index(k["item_type"]) for k in kinds], np.int16)
    of_class = np.array([classes.index(k["dewey_class"]) for k in kinds], np.int16)
    return Lending(
        {
            "branch": Facet(tuple(codes), tuple(b["name"] for b in branches)),
            "item_type": Facet(tuple(types), tuple(map(type_name, types))),
            "dewey": Facet(tuple(classes), tuple(map(dewey_name, classes))),
        },
        np.ascontiguousarray(found["day"]),
        {
            "branch": np.ascontiguousarray(found["branch"]),
            "item_type": of_type[found["kind"]],
            "dewey": of_class[found["kind"]],
        },
        {m: np.ascontiguousarray(found[m]) for m in COUNTED},
    )


def type_name(code: str) -> str:
    """A kind of material as words."""
    return "Not in the catalogue" if code == "unknown" else collection_name(code)


def columns_by(facet: str) -> Any:
    """What a table by this facet is called."""
    return {"branch": "Branch", "item_type": "Kind of material", "dewey": "Dewey class"}[facet]
