"""Judge a history: which days were unlike what the days before them promised.

    jump      a value farther from what was expected than 3.7 robust spreads
    drift     the last ten days, taken together, 3.3 spreads of such shifts away from the ten weeks
              that ended a fortnight ago
    missing   nothing came on a weekday on which three of four times something comes
    joint     several metrics, each usual alone, unusual together (quality/joint.py)

A change must matter, too, not only be rare: rows by a third (a drift: by 60 %) and by more than
chance would have it in counting few of them, seconds by a half, shares by two points of a
hundred, means by a twentieth, hours by one. Only more is bad of seconds, late hours and
quarantine. Days that are known to be closed are neither judged nor learned from; weekdays on which
nothing ever comes are learned.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from quality import baseline
from quality.joint import LEAST_DAYS, TOLD, Model, fit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Kind = Literal["jump", "drift", "missing", "joint"]
JUMP, DRIFT, CRITICAL = TOLD, 3.3, 2 * TOLD
USUAL = 1.645  # spreads on either side that nine of ten days lie within
ONLY_MORE = ("duration_s", "arrival_h", "freshness_h", "quarantined")
LATE = ("arrival_h", "freshness_h")
DAILY = 0.4  # share of days with a load from which a dataset has a week
PRESENT, LEAST_WEEKS, WEEKS = 0.75, 4, 8
REFIT_DAYS = 28


@dataclass(frozen=True)
class History:
    """Metrics of one dataset: days x metrics, NaN where there was nothing.

    `days` has every day from the first to the last, or only those with a load where loads are
    rarer than two in five days. `closed` marks days that are known to be closed.
    """

    dataset: str
    metrics: list[str]
    days: list[dt.date]
    values: Array
    sizes: Array
    closed: NDArray[np.bool_]

    @cached_property
    def weekly(self) -> bool:
        """Whether loads come so often that weekdays can be told apart."""
        span = (self.days[-1] - self.days[0]).days + 1
        return len(self.days) == span and bool(self.there.mean() >= DAILY)

    @cached_property
    def there(self) -> NDArray[np.bool_]:
        """The days on which something came."""
        import numpy as np

        return np.asarray(~np.isnan(self.values).all(axis=1))

    @cached_property
    def weekdays(self) -> NDArray[np.int64]:
        """0 for Monday; all the same where there is no week."""
        import numpy as np

        return np.array([day.weekday() if self.weekly else 0 for day in self.days])


class Finding(NamedTuple):
    """A day's metric that was unusual; low to high is where nine of ten such days lie.

    `score` is in spreads; `detail` says of a joint finding which metrics are farthest out.
    """

    kind: Kind
    metric: str
    day: dt.date
    value: float | None
    low: float | None
    high: float | None
    score: float
    detail: str = ""

    @property
    def severity(self) -> Literal["warning", "critical"]:
        """Critical when it is twice as far out as a warning must be."""
        return "critical" if abs(self.score) >= CRITICAL else "warning"


def judge(
    history: History, since: int, *, model: Model | None = None, joint: bool = True
) -> list[Finding]:
    """Judge the days from number `since` on, each by the days before it.

    Args:
        history: what was measured.
        since: first day to be judged.
        model: a fitted one, for all of these days; default: fitted here, anew every four weeks.
        joint: whether metrics are judged together, too.
    """
    if len(history.days) <= baseline.LEAST_DAYS:
        return []
    first = 0 if joint and model is None else max(since - 1, 0)
    found = baseline.expected(
        history.metrics, _judged(history), history.sizes, history.weekdays, first
    )
    jumps = _jumps(history, found, since)
    findings = jumps + _drifts(history, found, since) + _missing(history, since)
    if joint:
        told = {f.day for f in findings}
        findings += [f for f in _joint(history, found, since, model) if f.day not in told]
    return sorted(findings, key=lambda f: (f.day, -abs(f.score)))


def learn(history: History, before: int) -> Model | None:
    """Learn from the days before number `before` how metrics go together; None of too few."""
    if before < LEAST_DAYS:
        return None  # without importing scikit-learn
    found = baseline.expected(history.metrics, _judged(history), history.sizes, history.weekdays)
    return fit(history.metrics, found.score[:before])


def _judged(history: History) -> Array:
    """The values without closed days, and without the age of the newest event after one."""
    import numpy as np

    values = np.where(history.closed[:, None], np.nan, history.values)
    if "freshness_h" in history.metrics and history.weekly:
        gaps = _gaps(history.there & ~history.closed)
        usual = np.concatenate([np.zeros(7, np.int64), gaps[:-7]])  # closed weekdays are the week's
        values[gaps > usual, history.metrics.index("freshness_h")] = np.nan
    return values


def _gaps(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many days without a load lie right before each day."""
    import numpy as np

    days = np.arange(len(there))
    last = np.maximum.accumulate(np.where(there, days, -1))
    return np.concatenate([[0], (days - last)[:-1]])


def _jumps(history: History, found: baseline.Expected, since: int) -> list[Finding]:
    import numpy as np

    scores = found.score
    findings = []
    for late, column in np.argwhere(np.abs(scores[since:]) >= JUMP).tolist():
        day = since + late
        metric, score = history.metrics[column], float(scores[day, column])
        middle, even = float(found.middle[day, column]), float(found.even[day, column])
        if _matters(metric, middle, even):
            low, high = _usual(metric, middle, float(found.spread[day, column]))
            value = float(history.values[day, column])
            findings.append(Finding("jump", metric, history.days[day], value, low, high, score))
    return findings


def _drifts(history: History, found: baseline.Expected, since: int) -> list[Finding]:
    """Drifts, on the first day of each: a drift that goes on is not told every day."""
    import numpy as np

    first = max(since - 1, 0)
    shift, scores = baseline.shifted(found.flat, found.spread, first)
    findings, known = [], set()
    for late, column in np.argwhere(np.abs(scores[first:]) >= DRIFT).tolist():
        day = first + late
        metric, now = history.metrics[column], float(found.recent[day, column])
        usual = now - float(shift[day, column])
        if not _matters(metric, usual, now, drift=True):
            continue
        known.add((day, column))
        if day >= since and (day - 1, column) not in known:
            low, high = _usual(metric, usual, float(found.spread[day, column]))
            value, score = baseline.as_told(metric, now), float(scores[day, column])
            findings.append(Finding("drift", metric, history.days[day], value, low, high, score))
    return findings


def _usual(metric: str, middle: float, spread: float) -> tuple[float, float]:
    ends = (middle - USUAL * spread, middle + USUAL * spread)
    low, high = (baseline.as_told(metric, end) for end in ends)
    return low, high


def _matters(metric: str, middle: float, even: float, *, drift: bool = False) -> bool:
    """Whether a change is large enough to be told, whatever its rarity."""
    usual, value = baseline.as_told(metric, middle), baseline.as_told(metric, even)
    if metric in ONLY_MORE and value <= usual:
        return False
    if metric == "duration_s":
        return value >= 1.5 * usual and value - usual >= 1
    if metric == "volume":
        counted = 2 * abs(math.sqrt(value + 0.375) - math.sqrt(usual + 0.375))  # Anscombe's root
        return counted >= JUMP and abs(even - middle) >= (0.47 if drift else 0.29)
    if baseline.scale_of(metric) == "share":
        return abs(value - usual) >= 0.02
    if metric in LATE:
        return value - usual >= 1
    return abs(value - usual) >= 0.05 * abs(usual)


def _missing(history: History, since: int) -> list[Finding]:
    """Days without a load where most of the same weekdays have one."""
    if not history.weekly:
        return []
    findings = []
    for day in range(since, len(history.days)):
        if history.there[day] or history.closed[day]:
            continue
        same = [d for d in range(day - 7, -1, -7) if not history.closed[d]][:WEEKS]
        share = sum(bool(history.there[d]) for d in same) / max(len(same), 1)
        if len(same) >= LEAST_WEEKS and share >= PRESENT:
            score = CRITICAL if share == 1 else JUMP
            findings.append(
                Finding("missing", "volume", history.days[day], None, None, None, -score)
            )
    return findings


def _joint(
    history: History, found: baseline.Expected, since: int, model: Model | None
) -> list[Finding]:
    import numpy as np

    scores = found.score
    distances = np.zeros(len(scores))
    if model:
        distances[since:] = model.distances(history.metrics, scores[since:])
    else:
        for start in range(since, len(scores), REFIT_DAYS):
            fitted = fit(history.metrics, scores[:start])
            if fitted:
                week = slice(start, start + REFIT_DAYS)
                distances[week] = fitted.distances(history.metrics, scores[week])
    return [
        Finding(
            kind="joint",
            metric="together",
            day=history.days[day],
            value=None,
            low=None,
            high=None,
            score=float(JUMP * distances[day]),
            detail=_farthest(history.metrics, scores[day]),
        )
        for day in np.flatnonzero(distances > 1)
    ]


def _farthest(metrics: list[str], scores: Array) -> str:
    """The three metrics farthest out, as `volume low, duration_s high`."""
    import numpy as np

    far = np.nan_to_num(scores)
    order = np.argsort(-np.abs(far))[:3]
    return ", ".join(f"{metrics[i]} {'high' if far[i] > 0 else 'low'}" for i in order if far[i])


def history_of(
    dataset: str,
    rows: Collection[tuple[str, dt.date, float, float | None]],
    last: dt.date,
    closed: Collection[dt.date] = (),
) -> History | None:
    """The history in rows of metric, day, value, size; None where there are none.

    Args:
        dataset: whose metrics they are.
        rows: at most one a metric and day.
        last: the last day of the history, with or without a load.
        closed: days that are known to be closed.
    """
    import numpy as np

    if not rows:
        return None
    metrics = sorted({row[0] for row in rows})
    seen = sorted({row[1] for row in rows})
    span = (max(last, seen[-1]) - seen[0]).days + 1
    every = [seen[0] + dt.timedelta(days=i) for i in range(span)]
    days = every if len(seen) >= DAILY * span else seen
    place, column = {d: i for i, d in enumerate(days)}, {m: i for i, m in enumerate(metrics)}
    values = np.full((len(days), len(metrics)), np.nan)
    sizes = np.full_like(values, np.nan)
    for metric, day, value, size in rows:
        values[place[day], column[metric]] = value
        sizes[place[day], column[metric]] = np.nan if size is None else size
    shut = np.array([day in closed for day in days])
    return History(dataset, metrics, days, values, sizes, shut)
