"""What a person has chosen: a period, branches and a measure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bi_app.models.measures import MEASURES
from bi_app.words import N_

EPOCH = dt.date(1970, 1, 1)
PERIODS = {
    "7d": N_("7 days"),
    "30d": N_("30 days"),
    "90d": N_("90 days"),
    "12m": N_("12 months"),
    "year": N_("This year"),
    "all": N_("All"),
}
DEFAULT_PERIOD = "12m"


def day_number(day: dt.date) -> int:
    """Days since 1970."""
    return (day - EPOCH).days


def day_of(number: int) -> dt.date:
    """The date of a day number."""
    return EPOCH + dt.timedelta(days=int(number))


def months_before(day: dt.date, count: int) -> dt.date:
    """The first day of the month that is `count` months before that of a day."""
    year, month = divmod(day.year * 12 + day.month - 1 - count, 12)
    return dt.date(year, month + 1, 1)


@dataclass(frozen=True)
class Bounds:
    """What there is to choose from: first and last day, and the branch codes."""

    first: dt.date
    last: dt.date
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Select:
    """One more choice that a page offers: `values` hold (value, words), the first by default.

    `look` is how the browser draws it: "select" or "segments".
    """

    key: str
    label: str
    values: tuple[tuple[str, str], ...]
    look: str = "select"

    @property
    def default(self) -> str:
        """What holds when nothing is asked for."""
        return self.values[0][0]

    def choose(self, asked: Any) -> str:
        """One of the values: what makes no sense becomes the default."""
        return asked if any(asked == value for value, _ in self.values) else self.default


@dataclass(frozen=True)
class Selection:
    """A choice that holds within its bounds. No branch means all; days are inclusive.

    `more` holds what a page lets people choose besides, as (key, value).
    """

    start: dt.date
    end: dt.date
    branches: tuple[str, ...] = ()
    measure: str = "checkouts"
    period: str = "custom"
    more: tuple[tuple[str, str], ...] = ()

    def get(self, key: str) -> str:
        """The value of one of the page's own choices; nothing where it has no such choice."""
        return dict(self.more).get(key, "")

    @property
    def days(self) -> int:
        """Length of the period."""
        return (self.end - self.start).days + 1

    @property
    def before(self) -> Selection:
        """The period of the same length just before."""
        return replace(
            self,
            start=self.start - dt.timedelta(days=self.days),
            end=self.start - dt.timedelta(days=1),
        )

    def as_dict(self) -> dict[str, Any]:
        """The choice as plain values, for the browser."""
        return {
            "period": self.period,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "branches": list(self.branches),
            "measure": self.measure,
            **dict(self.more),
        }


def select(asked: Mapping[str, Any], bounds: Bounds, selects: Sequence[Select] = ()) -> Selection:
    """A selection from untrusted values: what makes no sense becomes the default."""
    period = asked.get("period") or ("custom" if asked.get("start") else DEFAULT_PERIOD)
    start, end = _span(str(period), asked, bounds)
    if period not in PERIODS:
        period = "custom"
    branches = asked.get("branches") or ()
    measure = asked.get("measure")
    return Selection(
        start,
        end,
        tuple(c for c in bounds.codes if c in set(branches)),
        measure if measure in MEASURES else "checkouts",
        period,
        tuple((s.key, s.choose(asked.get(s.key))) for s in selects),
    )


def texts_of(arguments: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    """A URL's arguments as texts."""
    return {k: [v.decode("utf-8", "replace") for v in vs] for k, vs in arguments.items()}


def firsts_of(arguments: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """A URL's arguments as texts, the first of each."""
    return {k: texts[0] for k, texts in texts_of(arguments).items()}


def from_arguments(
    arguments: Mapping[str, Sequence[bytes]], keys: Sequence[str] = ()
) -> dict[str, Any]:
    """The asked values out of a URL's arguments; `keys` are those of a page's own choices."""
    texts = texts_of(arguments)
    asked: dict[str, Any] = {
        k: texts[k][0] for k in ("period", "start", "end", "measure", *keys) if texts.get(k)
    }
    if texts.get("branch"):
        asked["branches"] = texts["branch"]
    return asked


def _span(period: str, asked: Mapping[str, Any], bounds: Bounds) -> tuple[dt.date, dt.date]:
    last = bounds.last
    if period == "custom":
        start, end = _date(asked.get("start")), _date(asked.get("end")) or last
        if start is None or start > end:
            return _span(DEFAULT_PERIOD, {}, bounds)
        return _within(start, bounds), _within(end, bounds)
    starts = {
        "7d": last - dt.timedelta(days=6),
        "30d": last - dt.timedelta(days=29),
        "90d": last - dt.timedelta(days=89),
        "12m": last - dt.timedelta(days=364),
        "year": last.replace(month=1, day=1),
        "all": bounds.first,
    }
    return _within(starts.get(period, starts[DEFAULT_PERIOD]), bounds), last


def _within(day: dt.date, bounds: Bounds) -> dt.date:
    return min(max(day, bounds.first), bounds.last)


def _date(value: Any) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        return None
