"""Loans of titles by month, held as sorted columns; the best of any period in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bi_app.models.circulation import Array, Circulation, identifier, public, tables_of
from bi_app.models.selection import Selection, day_number
from bi_app.models.store import held
from bi_app.queries import columns, numbers
from warehouse.access import Viewer

PEAK = 512
COLUMNS = (
    ("branch", "i2"),
    ("month", "i4"),
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
    """Loans by month (day number of its first), branch and title (its place in `catalogue`)."""

    catalogue: Titles
    month: Array
    branch: Array
    title: Array
    checkouts: Array
    renewals: Array

    def top(self, chosen: Selection, branches: list[int], count: int) -> list[dict[str, Any]]:
        """The titles with most checkouts in the months that the period touches."""
        place = self._months(chosen)
        titles, lent, renewed = self.title[place], self.checkouts[place], self.renewals[place]
        if branches:
            wanted = np.zeros(self.branch.max(initial=0) + 1 + max(branches), bool)
            wanted[branches] = True
            here = np.flatnonzero(wanted[self.branch[place]])
            titles, lent, renewed = titles[here], lent[here], renewed[here]
        checkouts = np.bincount(titles, weights=lent, minlength=len(self.catalogue.title))
        best = _best(checkouts, count)
        renewals = _sums_of(best, titles, renewed, len(checkouts))
        return [self._row(i, checkouts[i], n) for i, n in zip(best, renewals, strict=True)]

    def _months(self, chosen: Selection) -> slice:
        """The rows of the months that the period touches."""
        days = (day_number(chosen.start.replace(day=1)), day_number(chosen.end) + 1)
        start, end = np.searchsorted(self.month, np.array(days, self.month.dtype), "left")
        return slice(int(start), int(end))

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


def _best(values: Array, count: int) -> list[int]:
    """Places of the largest values above nothing, largest first, the earlier place before."""
    least = _kth_of_peaks(values, count)
    among = np.flatnonzero((values >= least) & (values > 0))
    order = np.argsort(-values[among], kind="stable")[:count]
    return [int(i) for i in among[order]]


def _kth_of_peaks(values: Array, count: int) -> float:
    """A value that at least `count` reach: the count-th largest maximum of 512 at a time."""
    whole = len(values) // PEAK * PEAK
    peaks = values[:whole].reshape(-1, PEAK).max(axis=1) if whole else values[:0]
    return float(np.sort(peaks)[-count]) if len(peaks) >= count else 0.0


def _sums_of(wanted: list[int], titles: Array, values: Array, size: int) -> list[int]:
    """Sums of `values` for the wanted titles alone."""
    place = np.full(size, -1, np.int32)
    place[wanted] = np.arange(len(wanted))
    at = place[titles]
    seen = np.flatnonzero(at >= 0)
    sums = np.bincount(at[seen], weights=values[seen], minlength=len(wanted))
    return [int(n) for n in sums]


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
    found = columns(viewer, "titles")
    return Titles(
        np.array(found["number"], dtype=np.int64),
        found["title"],
        found["author"],
        found["collection"],
        found["copies"],
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
