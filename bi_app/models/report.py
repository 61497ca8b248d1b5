"""What a page of figures is made of, without the page: choices, cards, and a table a measure.

Each measure is a plain function of what is known and what was chosen, and returns a `Table`; the
page draws it, the table behind a chart lists it, a download saves it, and the API answers it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from bi_app import words
from bi_app.models.selection import Bounds, Select, Selection, from_arguments, select
from bi_app.models.table import Column, Table
from bi_app.words import _
from warehouse.access import Viewer


class Known(Protocol):
    """What a viewer may know: what can be chosen, and the branches' names by their codes."""

    @property
    def bounds(self) -> Bounds:
        """The first and last day, and the branch codes."""

    @property
    def branches(self) -> Mapping[str, str]:
        """Names by code."""


K = TypeVar("K", bound=Known)
Card = dict[str, Any]
SMALL, HALF = 1e-9, 0.5


@dataclass(frozen=True)
class Report(Generic[K]):
    """A page's figures. `load` returns what a viewer may know of them, `None` if nothing is there.

    `reads` names the gold tables behind it, for freshness; `selects` says what can be chosen
    besides period (where `periods`) and branches; `measures` holds one function a table, by
    name; `longer` those that a file holds more rows of than the page.
    """

    name: str
    reads: Sequence[str]
    load: Callable[[Viewer], K | None]
    cards: Callable[[K, Selection], Sequence[Card]]
    measures: Mapping[str, Callable[[K, Selection], Table]]
    selects: Callable[[K], Sequence[Select]] = lambda _: ()
    periods: bool = True
    longer: Mapping[str, Callable[[K, Selection], Table]] = field(default_factory=dict)

    def choose(self, known: K, asked: Mapping[str, Any]) -> Selection:
        """A selection from untrusted values."""
        return select(asked, known.bounds, self.selects(known))

    def table(self, viewer: Viewer, name: str, arguments: Mapping[str, Sequence[bytes]]) -> Table:
        """One measure for the choice in a URL's arguments.

        Raises:
            KeyError: there is no such measure, or nothing is known yet.
        """
        known = self.load(viewer)
        if known is None:
            raise KeyError(name)
        keys = [s.key for s in self.selects(known)]
        work = self.longer.get(name) or self.measures[name]
        return plain(work(known, self.choose(known, from_arguments(arguments, keys))))


def plain(table: Table) -> Table:
    """A table for a file or an API: without what is only drawn."""
    columns = [c for c in table.columns if c.kind != "spark"]
    return replace(table, columns=columns, data={c.key: table.data[c.key] for c in columns})


def card(
    name: str, title: str, value: str, definition: str, *, note: str | None = None, **more: Any
) -> Card:
    """A figure: `note` stands below it in place of a change."""
    told = {"name": name, "title": _(title), "value": value, "definition": _(definition), **more}
    return told if note is None else {**told, "note": note}


def scope(chosen: Selection, known: Known, selects: Sequence[Select] = ()) -> list[str]:
    """What a table covers, in words, for the notes of a file."""
    branches = ", ".join(known.branches[c] for c in chosen.branches) or _("all that you may see")
    chosen_by = [f"{_(s.label)}: {_(dict(s.values)[chosen.get(s.key)])}" for s in selects]
    return [_("Branches: {branches}", branches=branches), *chosen_by]


def everywhere(chosen: Selection) -> Selection:
    """The same choice at all branches, so that a chosen one stands among the others."""
    return replace(chosen, branches=())


def span(chosen: Selection) -> str:
    """The period, in words."""
    start, end = words.day(chosen.start), words.day(chosen.end)
    return _("Period: {start} to {end}", start=start, end=end)


def notes(chosen: Selection, *definitions: str) -> list[str]:
    """What a table of a period covers and means, for the notes of a file."""
    return [span(chosen), *definitions]


def summary(table: Table, label: str, value: str) -> str:
    """What a chart shows, in a sentence or two, for those who do not see it.

    `value` is the key of the column that is counted, `label` that by which it is, or several with
    a space between.
    """
    values = np.array([np.nan if v is None else float(v) for v in table.data[value]], float)
    known = np.flatnonzero(~np.isnan(values))
    title = next(c.title for c in table.columns if c.key == value)
    if not len(known):
        return _("{title}: nothing in this selection.", title=_(table.title))
    parts_of = zip(*(map(said, table.data[key]) for key in label.split()), strict=True)
    labels = [" ".join(part) for part in parts_of]
    most, least = (int(known[f(values[known])]) for f in (np.argmax, np.argmin))
    counted = words.inner(_(title))
    if len(known) == 1:
        return _(
            "{title}: 1 value of {column}, {value} at {place}.",
            title=_(table.title), column=counted, value=number(values[most]), place=labels[most],
        )  # fmt: skip
    return _(
        "{title}: {count} values of {column}, highest {highest} at {peak}, lowest {lowest} at"
        " {trough}.",
        title=_(table.title), count=len(known), column=counted, highest=number(values[most]),
        peak=labels[most], lowest=number(values[least]), trough=labels[least],
    )  # fmt: skip


def said(value: Any) -> str:
    """A label as words: a day as people write it."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if isinstance(value, dt.date):
        return words.day(value)
    return str(value)


def number(value: float) -> str:
    """A figure as cards write it: whole above 100 or where it is whole, else one decimal."""
    whole = abs(value - round(value)) < SMALL
    return words.decimal(value, 0 if whole or abs(value) >= 100 else 1)


def share(part: float, whole: float) -> str:
    """A share in percent, in words; a dash where there is no whole."""
    return words.percent(part / whole * 100) if whole else "–"


def cents(value: float) -> Decimal:
    """A sum of money, to the hundredth."""
    return Decimal(f"{value:.2f}")


def percent(part: float, whole: float) -> float | None:
    """A share in percent; None where there is no whole."""
    return round(part / whole * 100, 1) if whole else None


def quantile(counted: Iterable[tuple[int, int]], part: float) -> float | None:
    """The value below which `part` of all lies, by the nearest rank; of a half, the median."""
    pairs = sorted((value, count) for value, count in counted if count > 0)
    if not pairs:
        return None
    values, counts = (np.array(x) for x in zip(*pairs, strict=True))
    until = np.cumsum(counts)
    if part == HALF:
        ranks = [(until[-1] - 1) // 2, until[-1] // 2]
        return float(values[np.searchsorted(until, ranks, "right")].mean())
    return float(values[np.searchsorted(until, np.ceil(until[-1] * part), "left")])


def ratio(part: Any, whole: Any) -> np.ndarray[Any, Any]:
    """Element by element `part / whole`; not a number where the whole is nothing."""
    below = np.asarray(whole, float)
    found: np.ndarray[Any, Any] = np.divide(
        np.asarray(part, float), below, out=np.full(below.shape, np.nan), where=below > 0
    )
    return found


def moving_mean(values: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """The mean of each value and those before it, up to `length` in all; rounded to 0.1."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - length, 0)
    mean: np.ndarray[Any, Any] = np.round((sums[ends] - sums[starts]) / (ends - starts), 1)
    return mean


def rounded(values: Any, places: int = 1) -> list[float | None]:
    """Numbers as a table holds them; None where there is none."""
    return [None if np.isnan(v) else round(float(v), places) for v in np.asarray(values, float)]


def table_of(
    name: str,
    title: str,
    columns: Sequence[Column],
    records: Sequence[Mapping[str, Any]],
    notes: Sequence[str] = (),
) -> Table:
    """A table from records."""
    return Table(name, title, columns, {c.key: [r[c.key] for r in records] for c in columns}, notes)
