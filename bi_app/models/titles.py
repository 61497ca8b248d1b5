"""Loans of titles by month, held as sorted columns; the best of any period in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bi_app.models.circulation import Array, Circulation, identifier, public, tables_of
from bi_app.models.selection import Selection
from bi_app.models.store import held
from bi_app.queries import numbers, rows
from warehouse.access import Viewer

COLUMNS = (
    ("branch", "i2"),
    ("month", "i2"),
    ("title", "i8"),
    ("checkouts", "i4"),
    ("renewals", "i4"),
)


@dataclass(frozen=True)
class Titles:
    """The catalogue: one entry a title, in the order of `number`."""

    number: Array
    title: tuple[str, ...]
    author: tuple[str, ...]
    collection: tuple[str, ...]
    copies: tuple[int, ...]


@dataclass(frozen=True)
class TitleMonths:
    """Loans by month, branch and title, in that order; `title` is a place in `catalogue`."""

    catalogue: Titles
    month: Array
    branch: Array
    title: Array
    checkouts: Array
    renewals: Array

    def top(self, chosen: Selection, branches: list[int], count: int) -> list[dict[str, Any]]:
        """The titles with most checkouts in the months that the period touches."""
        place = slice(
            np.searchsorted(self.month, month_number(chosen.start), "left"),
            np.searchsorted(self.month, month_number(chosen.end), "right"),
        )
        titles, lent, renewed = self.title[place], self.checkouts[place], self.renewals[place]
        if branches:
            here = np.isin(self.branch[place], branches)
            titles, lent, renewed = titles[here], lent[here], renewed[here]
        size = len(self.catalogue.title)
        checkouts = np.bincount(titles, weights=lent, minlength=size)
        best = _best(checkouts, count)
        wanted = np.isin(titles, best)
        renewals = np.bincount(titles[wanted], weights=renewed[wanted], minlength=size)
        return [self._row(i, checkouts[i], renewals[i]) for i in best]

    def _row(self, place: int, checkouts: float, renewals: float) -> dict[str, Any]:
        known = self.catalogue
        return {
            "title": known.title[place],
            "author": known.author[place],
            "collection": collection_name(known.collection[place]),
            "checkouts": int(checkouts),
            "renewals": int(renewals),
            "copies": known.copies[place],
        }


def collection_name(code: str) -> str:
    """A collection code as words."""
    return code.replace("_", " ").capitalize().replace("Dvd", "DVD")


def month_number(day: Any) -> int:
    """Months since January 1970."""
    return (int(day.year) - 1970) * 12 + int(day.month) - 1


def _best(values: Array, count: int) -> list[int]:
    """Places of the largest values above nothing, largest first."""
    count = min(count, int((values > 0).sum()))
    if not count:
        return []
    top = np.argpartition(values, -count)[-count:]
    return [int(i) for i in top[np.argsort(-values[top], kind="stable")]]


def titles(viewer: Viewer, circulation: Circulation) -> TitleMonths:
    """The loans of titles that a viewer may see."""
    months = tables_of(viewer)[1]
    codes = list(circulation.codes)

    def load_title_months(asked: Viewer) -> TitleMonths:
        found = numbers(
            asked, "title_months", COLUMNS, {"codes": codes}, title_months=identifier(months)
        )
        return _sorted(catalogue(asked), found)

    return held(public(viewer), (months, "gold.library_titles"), load_title_months)


def catalogue(viewer: Viewer) -> Titles:
    """Every title; the same for everyone."""
    shared = Viewer(viewer.user, viewer.role)
    return held(shared, ("gold.library_titles",), load_catalogue)


def load_catalogue(viewer: Viewer) -> Titles:
    """Read the titles."""
    found = rows(viewer, "titles")
    return Titles(
        np.array([r["number"] for r in found], dtype=np.int64),
        tuple(r["title"] for r in found),
        tuple(r["author"] for r in found),
        tuple(r["collection"] for r in found),
        tuple(r["copies"] for r in found),
    )


def _sorted(known: Titles, found: Array) -> TitleMonths:
    """Columns in order of month, without titles that the catalogue lacks."""
    place = np.searchsorted(known.number, found["title"])
    place = np.minimum(place, max(len(known.number) - 1, 0))
    there = known.number[place] == found["title"] if len(known.number) else np.zeros(0, bool)
    found, place = found[there], place[there]
    order = np.argsort(found["month"], kind="stable")
    return TitleMonths(
        known,
        found["month"][order],
        found["branch"][order].astype(np.int16),
        place[order].astype(np.int32),
        found["checkouts"][order].astype(np.int32),
        found["renewals"][order].astype(np.int32),
    )
