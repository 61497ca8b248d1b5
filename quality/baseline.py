"""Baselines: what a metric usually is on such a day, from its own past alone.

All functions take an array of days x metrics with NaN where there was nothing, and look only back:
what is expected of a day rests on the days before it. So a year can be walked through at once.

A metric is made even by its kind: counts and seconds by logarithm (a change is a ratio), shares by
Anscombe's arcsine of the root (its spread does not depend on the share), others stay. Then

    level      median of the last 21 days, each less its weekday's effect
    weekday    median, over the last 13 of the same weekday, of the day less the median of the 28
               days before it; none below three such days
    expected   level + weekday
    spread     Rousseeuw and Croux's Qn of the last 90 differences from what was expected
               (Alternatives to the Median Absolute Deviation, JASA 88, 1993): half of the days
               may be anything without moving it, at 82 % efficiency (MAD: 37 %)

A spread cannot be smaller than counting alone makes it: 1/sqrt(n) of a logarithm of a count n
(Poisson) and of an arcsine of a share of n rows; a mean of few rows spreads as sqrt(usual n / n).
So small samples do not alarm. Seconds are judged as for the day's rows: how a logarithm of seconds
goes with one of rows is learned from the last 90 days (least squares of clipped differences).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEVEL_DAYS, WEEKDAY_WEEKS, SPREAD_DAYS, TREND_DAYS = 21, 13, 90, 28
FAST_DAYS, FAST_LEAST, SLOW_DAYS, GAP_DAYS = 10, 6, 70, 14
LEAST_DAYS = 21  # values before the first is judged
LEAST_WEEKDAYS = 3
QN = 2.2219  # makes Qn the standard deviation of normal values
LEAST_SPREAD = {"log": 0.02, "share": 0.01, "plain": 1e-9}
CLIP = 0.7  # a doubling; what is more does not teach how seconds go with rows
NOTHING = 0.5  # added to a count or to seconds before the logarithm


class Expected(NamedTuple):
    """What was expected of each day and metric, made even, and how far days lie around it."""

    even: Array
    middle: Array
    spread: Array
    flat: Array

    @property
    def recent(self) -> Array:
        """The median of the last ten days up to each day, less the weekday's effect."""
        return _trailing_median(_and_one_more(self.flat), FAST_DAYS, FAST_LEAST)[1:]

    @property
    def off(self) -> Array:
        """Differences from what was expected."""
        return self.even - self.middle

    @property
    def score(self) -> Array:
        """Differences from what was expected, in spreads."""
        return self.off / self.spread


def scale_of(metric: str) -> str:
    """How a metric is made even: log, share or plain."""
    if metric in ("volume", "duration_s"):
        return "log"
    return "share" if metric == "quarantined" or metric.startswith("nulls.") else "plain"


def evened(metric: str, values: Array, sizes: Array) -> Array:
    """Values on the scale on which they are compared."""
    import numpy as np

    kind = scale_of(metric)
    if kind == "log":
        return np.log(values + NOTHING)
    if kind == "share":
        rows = np.where(sizes > 0, sizes, 1e4)
        return np.asarray(2 * np.arcsin(np.sqrt((values * rows + 0.375) / (rows + 0.75))))
    return values


def as_told(metric: str, even: float) -> float:
    """A value of the even scale as a person reads it."""
    import math

    kind = scale_of(metric)
    if kind == "log":
        return max(math.exp(min(even, 60)) - NOTHING, 0.0)
    if kind == "share":
        return math.sin(min(max(even, 0.0), math.pi) / 2) ** 2
    return even


def qn(values: Array) -> float:
    """Rousseeuw and Croux's Qn: the first quartile of the distances between pairs; NaN of few."""
    import numpy as np

    values = values[~np.isnan(values)]
    n = len(values)
    if n < 10:
        return float("nan")
    first, second = _pairs(n)
    h = n // 2 + 1
    rank = h * (h - 1) // 2 - 1
    return float(QN * np.partition(np.abs(values[first] - values[second]), rank)[rank])


@lru_cache(maxsize=128)
def _pairs(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the second of every pair of n."""
    import numpy as np

    first, second = np.triu_indices(n, 1)
    return first, second


def expected(
    metrics: list[str], values: Array, sizes: Array, weekdays: NDArray[np.int64], since: int = 0
) -> Expected:
    """What was expected of every day of every metric.

    Args:
        metrics: their names, one a column.
        values: days x metrics; NaN where there was none.
        sizes: rows that a value rests on; NaN where it is no share and no mean.
        weekdays: 0 to 6 for each day; any number, always the same, where there is no week.
        since: first day whose spread is wanted; it takes most of the time.
    """
    import numpy as np

    columns = [evened(m, values[:, i], sizes[:, i]) for i, m in enumerate(metrics)]
    even = np.stack(columns, axis=1)
    rows = _for_rows(metrics, even)
    even = even - rows
    effect = _weekday_effects(even, weekdays)
    flat = even - effect
    level = _trailing_median(flat, LEVEL_DAYS, LEAST_DAYS // 3)
    seen = np.cumsum(~np.isnan(even), axis=0) - ~np.isnan(even)
    middle = np.where(seen >= LEAST_DAYS, level + effect, np.nan)
    spread = _spreads(metrics, even - middle, middle, sizes, since)
    return Expected(even + rows, middle + rows, spread, flat)


def _for_rows(metrics: list[str], even: Array) -> Array:
    """How much longer each day's load should take for having more rows than the days before."""
    import numpy as np

    more = np.zeros_like(even)
    if "volume" in metrics and "duration_s" in metrics:
        columns = [metrics.index("volume"), metrics.index("duration_s")]
        above = even[:, columns] - _trailing_median(even[:, columns], TREND_DAYS, LEAST_DAYS // 3)
        lost = np.any(np.isnan(above), axis=1, keepdims=True)
        known = np.clip(np.where(lost, 0, above), -CLIP, CLIP)
        products = np.cumsum(known[:, :1] * known, axis=0)  # rows by rows, rows by seconds
        earlier = np.concatenate([np.zeros((SPREAD_DAYS, 2)), products])[: len(products)]
        sums = np.concatenate([np.zeros((1, 2)), (products - earlier)[:-1]])
        slope = np.clip(sums[:, 1] / np.fmax(sums[:, 0], 1e-9), 0, 1)
        more[:, columns[1]] = slope * np.nan_to_num(above[:, 0])
    return more


def _weekday_effects(even: Array, weekdays: NDArray[np.int64]) -> Array:
    """How much each day's weekday usually differs from the days around; 0 where unknown."""
    import numpy as np

    above = even - _trailing_median(even, TREND_DAYS, LEAST_DAYS // 3)
    effects = np.zeros_like(even)
    for weekday in np.unique(weekdays):
        days = np.flatnonzero(weekdays == weekday)
        effects[days] = np.nan_to_num(
            _trailing_median(above[days], WEEKDAY_WEEKS, LEAST_WEEKDAYS), nan=0.0
        )
    return effects if len(np.unique(weekdays)) > 1 else np.zeros_like(even)


def _trailing_median(values: Array, days: int, least: int) -> Array:
    """The median of the days before each day, where at least so many are there."""
    import warnings

    import numpy as np

    padded = np.concatenate([np.full((days, values.shape[1]), np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, days, axis=0)[: len(values)]
    enough = np.sum(~np.isnan(windows), axis=-1) >= least
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of windows without a value
        return np.where(enough, np.nanmedian(windows, axis=-1), np.nan)


def _spreads(metrics: list[str], off: Array, middle: Array, sizes: Array, since: int) -> Array:
    """The spread of the days before each day, no smaller than counting makes it."""
    import numpy as np

    spreads = np.full_like(off, np.nan)
    usual = _trailing_median(sizes, SPREAD_DAYS, 1)
    for column, metric in enumerate(metrics):
        kind = scale_of(metric)
        least = np.full(len(off), LEAST_SPREAD[kind])
        if kind == "share":
            least = np.fmax(least, 1 / np.sqrt(sizes[:, column]))
        elif metric == "volume":
            least = np.fmax(least, np.exp(-np.clip(middle[:, column], 0, 60) / 2))
        more = np.fmax(np.sqrt(usual[:, column] / sizes[:, column]), 1) if kind == "plain" else 1
        for day in range(since, len(off)):
            spreads[day, column] = qn(off[max(0, day - SPREAD_DAYS) : day, column])
        spreads[:, column] = np.maximum(spreads[:, column] * more, least)
    return spreads


def _and_one_more(flat: Array) -> Array:
    """With a day of nothing at the end, so that what looks back from it sees the last one."""
    import numpy as np

    return np.concatenate([flat, np.full((1, flat.shape[1]), np.nan)])


def shifted(flat: Array, spread: Array, since: int) -> tuple[Array, Array]:
    """How far the last ten days lie from the usual, and that in spreads of its own past.

    The usual is the median of the ten weeks that ended a fortnight before. What the past ten-day
    medians did, seasons included, is the measure: a shift as large as others before is none.

    Args:
        flat: even values less their weekday's effect.
        spread: spread of single days.
        since: first day to be told of.
    """
    import numpy as np

    now = _trailing_median(_and_one_more(flat), FAST_DAYS, FAST_LEAST)[1:]
    usual = _trailing_median(flat, SLOW_DAYS, LEAST_DAYS)
    usual = np.concatenate([np.full((GAP_DAYS, flat.shape[1]), np.nan), usual[:-GAP_DAYS]])
    shift = now - usual if len(flat) > GAP_DAYS else np.full_like(flat, np.nan)
    scores = np.full_like(flat, np.nan)
    for column in range(flat.shape[1]):
        for day in range(since, len(flat)):
            past = shift[max(0, day - 2 * SPREAD_DAYS) : max(day - GAP_DAYS, 0), column]
            if (~np.isnan(past)).sum() >= SPREAD_DAYS // 3:
                least = 0.6 * spread[day, column]  # about twice what a median of ten days has
                scores[day, column] = shift[day, column] / max(qn(past), least)
    return shift, scores
