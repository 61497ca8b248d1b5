"""Seeded years of made-up libraries with planted faults, plain z-scores, and how methods score.

Each library has its own size, strong week (one or two closed weekdays), season (terms, summer
slump), eight holidays, metrics with noise wider than chance, and about ten faults of these kinds:

    drop, spike      half to a twentieth of the rows; twice to four times as many
    missing          a day on which nothing comes
    nulls            a burst of nulls for one to three days
    late             the load comes two to six hours later
    drift            a mean moves by a tenth to a quarter within thirty days
    ebb              rows fade by two thirds within thirty days
    creep            seconds double to triple within thirty days
    apart            two metrics that go together part for a day, each within its own usual range:
                     what lacks an ISBN and what lacks a publisher are the same uncatalogued items;
                     what is renewed more is out for longer

A fault is found when an alarm that names a metric which it touches falls within it. Other alarms
are false, those on following days as one; the three weeks after a slow fault has suddenly ended,
and the day after a short one, count neither way.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from quality.judge import History, judge

START = dt.date(2025, 1, 1)
DAYS, QUIET, LIBRARIES = 365, 90, 12
AFTER = 21
METRICS = [
    "arrival_h", "duration_s", "freshness_h", "mean.fine", "nulls.due", "nulls.shelf",
    "quarantined", "volume", "nulls.isbn", "nulls.publisher", "mean.renewals", "mean.days_out",
]  # fmt: skip
PAIRS = (("nulls.isbn", "nulls.publisher"), ("mean.renewals", "mean.days_out"))
COLUMN = {name: i for i, name in enumerate(METRICS)}
HOLIDAYS = [
    dt.date(2025, *d)
    for d in ((1, 1), (4, 18), (4, 21), (5, 5), (5, 26), (8, 25), (12, 25), (12, 26))
]
KINDS = ("drop", "spike", "missing", "nulls", "late", "drift", "ebb", "creep", "apart")
ALONE = KINDS[:-1]  # those that one metric shows
SLOW = {"drift", "ebb", "creep"}
TOUCHES = {
    "drop": ("volume", "duration_s"), "spike": ("volume", "duration_s"), "missing": ("volume",),
    "nulls": ("nulls.due",), "late": ("arrival_h", "freshness_h"), "drift": ("mean.fine",),
    "ebb": ("volume", "duration_s"), "creep": ("duration_s",),
    "apart": tuple(name for pair in PAIRS for name in pair),
}  # fmt: skip
WIDE = (0.25, 0.08)  # spread from day to day of the logarithms of the pairs
INSIDE = 1.5  # spreads that a metric of a torn pair is away from its usual: within nine days in ten
Alarm = tuple[int, str]  # number of the day, metric
Method = Callable[[History, int], set[Alarm]]


@dataclass(frozen=True)
class Fault:
    """A planted fault, from day `first` up to and including `last` (numbers from 0)."""

    kind: str
    first: int
    last: int


@dataclass
class Score:
    """Faults found of those planted, by kind; `right` is their sum, `wrong` the false alarms."""

    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    planted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    right: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        return sum(self.found.values()) / max(sum(self.planted.values()), 1)

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def libraries(seed: int, count: int = LIBRARIES) -> list[tuple[History, list[Fault]]]:
    """A year of some libraries, with the faults planted in each."""
    return [
        _library(
            np.random.default_rng([seed, i]), np.random.default_rng([seed, i, 1]), f"library_{i}"
        )
        for i in range(count)
    ]


def _library(
    random: np.random.Generator, paired: np.random.Generator, name: str
) -> tuple[History, list[Fault]]:
    """A library's year; the pairs have chance of their own, so that the rest stays as it was."""
    days = [START + dt.timedelta(days=i) for i in range(DAYS)]
    faults = _faults(random, days)
    expected = _rows(random, days)
    closed = np.array([d in HOLIDAYS for d in days])
    expected[closed] = 0
    change = _changes(random, faults)
    values = np.full((DAYS, len(METRICS)), np.nan)
    rows = random.poisson(
        expected * change["volume"] * random.gamma(1 / 0.09**2, 0.09**2, DAYS)
    ).astype(float)
    there = expected > 0
    for fault in faults:
        if fault.kind == "missing":
            there[fault.first] = False
    values[:, COLUMN["volume"]] = rows
    _times(random, values, rows, there, change)
    sizes = _contents(random, values, rows, change)
    faults += _in_pairs(paired, values, sizes, rows, _free(faults, days, there))
    values[~there], sizes[~there] = np.nan, np.nan
    return History(name, METRICS, days, values, sizes, closed), faults


def _rows(random: np.random.Generator, days: list[dt.date]) -> np.ndarray:
    """Rows expected of each day: size, week, season."""
    base = np.exp(random.uniform(np.log(80), np.log(6000)))
    week = random.uniform(0.5, 1.4, 7)
    week[6] = 0.0 if random.random() < 0.8 else 0.3
    if random.random() < 0.3:
        week[0] = 0.0
    week[5] *= random.uniform(0.4, 1.3)
    year = np.arange(DAYS) / DAYS * 2 * np.pi
    season = 1 + random.uniform(0.05, 0.25) * np.sin(year + random.uniform(0, 6))
    slump = random.uniform(0.5, 1.0)  # of the summer, coming and going within three weeks
    edge = np.clip((np.arange(DAYS) - 180) / 21, 0, 1) - np.clip((np.arange(DAYS) - 235) / 21, 0, 1)
    season *= 1 - (1 - slump) * edge
    return base * season * np.array([week[d.weekday()] for d in days])


def _faults(random: np.random.Generator, days: list[dt.date]) -> list[Fault]:
    """Faults of each kind in turn, far enough apart, on days that are open in any library."""
    faults = []
    at, kinds = QUIET + int(random.integers(5, 15)), list(random.permutation(ALONE))
    kinds += list(random.permutation([k for k in ALONE if k not in SLOW]))
    for kind in kinds:
        while days[at % DAYS].weekday() in (0, 6) or days[at % DAYS] in HOLIDAYS:
            at += 1
        length = {"nulls": int(random.integers(1, 4))}.get(kind, 45 if kind in SLOW else 1)
        if at + length + AFTER >= DAYS:
            continue
        faults.append(Fault(str(kind), at, at + length - 1))
        at += length + (AFTER if kind in SLOW else int(random.integers(8, 14)))
    return faults


def _changes(random: np.random.Generator, faults: list[Fault]) -> dict[str, np.ndarray]:
    """What the faults do to each metric: factors, or (late, nulls) what is added."""
    made = {n: np.ones(DAYS) for n in ("volume", "duration_s", "mean")}
    made |= {n: np.zeros(DAYS) for n in ("late", "nulls")}
    for fault in faults:
        span = slice(fault.first, fault.last + 1)
        ramp = np.clip(np.arange(1, fault.last - fault.first + 2) / 30, 0, 1)
        if fault.kind == "drop":
            made["volume"][span] *= random.uniform(0.05, 0.5)
        elif fault.kind == "spike":
            made["volume"][span] *= random.uniform(2, 4)
        elif fault.kind == "nulls":
            made["nulls"][span] += random.uniform(0.08, 0.4)
        elif fault.kind == "late":
            made["late"][span] += random.uniform(2, 6)
        elif fault.kind == "drift":
            made["mean"][span] += ramp * random.uniform(0.1, 0.25) * random.choice([-1, 1])
        elif fault.kind == "ebb":
            made["volume"][span] *= 1 - 0.67 * ramp
        elif fault.kind == "creep":
            made["duration_s"][span] += ramp * random.uniform(1, 2)
    return made


def _times(
    random: np.random.Generator,
    values: np.ndarray,
    rows: np.ndarray,
    there: np.ndarray,
    change: dict[str, np.ndarray],
) -> None:
    """Seconds, hour of arrival, age of the newest event (older after a day without a load)."""
    seconds = random.uniform(3, 8) + rows * random.uniform(0.002, 0.01)
    noise = np.exp(random.normal(0, 0.12, DAYS))
    values[:, COLUMN["duration_s"]] = seconds * noise * change["duration_s"]
    arrival = random.uniform(4, 8) + np.abs(random.normal(0, 0.15, DAYS)) + change["late"]
    values[:, COLUMN["arrival_h"]] = arrival
    gap = np.zeros(DAYS)
    for day in range(1, DAYS):
        gap[day] = 0 if there[day - 1] else gap[day - 1] + 24
    values[:, COLUMN["freshness_h"]] = arrival + 5 + gap + np.abs(random.normal(0, 0.2, DAYS))


def _contents(
    random: np.random.Generator,
    values: np.ndarray,
    rows: np.ndarray,
    change: dict[str, np.ndarray],
) -> np.ndarray:
    """Shares and means with their sizes."""
    sizes = np.full_like(values, np.nan)
    counts = np.maximum(rows, 1).astype(int)
    shares = {"quarantined": 0.01, "nulls.due": random.uniform(0.01, 0.1), "nulls.shelf": 0.002}
    for name, share in shares.items():
        added = change["nulls"] if name == "nulls.due" else 0
        each = np.clip(share * random.gamma(1 / 0.15**2, 0.15**2, DAYS) + added, 0, 1)
        values[:, COLUMN[name]] = random.binomial(counts, each) / counts
        sizes[:, COLUMN[name]] = counts
    mean = random.uniform(1, 5)
    spread = mean * np.sqrt(0.015**2 + 0.4**2 / counts)
    values[:, COLUMN["mean.fine"]] = random.normal(mean * change["mean"], spread)
    sizes[:, COLUMN["mean.fine"]] = counts
    return sizes


def _free(faults: list[Fault], days: list[dt.date], there: np.ndarray) -> list[int]:
    """Days with a load that are two days or more from any fault and what follows from it."""
    free = there.copy()
    free[:QUIET] = False
    for fault in faults:
        after = AFTER if fault.kind in SLOW else 2
        free[max(fault.first - 2, 0) : fault.last + after + 1] = False
    return [day for day in np.flatnonzero(free).tolist() if days[day] not in HOLIDAYS]


def _in_pairs(
    random: np.random.Generator,
    values: np.ndarray,
    sizes: np.ndarray,
    rows: np.ndarray,
    free: list[int],
) -> list[Fault]:
    """Metrics that go together, and for each pair a day on which they do not."""
    counts = np.maximum(rows, 1).astype(int)
    chosen = random.permutation(free)[: len(PAIRS)].tolist()
    lacking, renewed = random.uniform(0.05, 0.12), random.uniform(0.5, 1.5)
    longer = random.uniform(5, 9)  # days out that a renewal adds
    bare = random.binomial(counts, np.clip(lacking * np.exp(random.normal(0, WIDE[0], DAYS)), 0, 1))
    means = renewed * np.exp(random.normal(0, np.hypot(WIDE[1], 0.3 / np.sqrt(counts))))
    for side, sign in enumerate(random.choice([-1, 1]) * np.array([1, -1])):
        far = np.exp(sign * INSIDE * np.array(WIDE))
        share, mean = bare.copy(), means.copy()
        for day in chosen[:1]:
            share[day] = random.binomial(counts[day], lacking * far[0])
        for day in chosen[1:]:
            mean[day] = renewed * far[1]
        share = (share + random.binomial(counts - share, 0.003)) / counts
        mean = mean if side == 0 else 14 + longer * mean
        values[:, COLUMN[PAIRS[0][side]]] = share
        values[:, COLUMN[PAIRS[1][side]]] = mean * (1 + random.normal(0, 0.005, DAYS))
    for name in (name for pair in PAIRS for name in pair):
        sizes[:, COLUMN[name]] = counts
    return [Fault("apart", day, day) for day in chosen]


# Methods ---------------------------------------------------------------------------------------


def ours(history: History, since: int) -> set[Alarm]:
    """Days that Carrel finds unusual."""
    return _numbers(history, judge(history, since))


def ours_alone(history: History, since: int) -> set[Alarm]:
    """The same without the model of metrics together."""
    return _numbers(history, judge(history, since, joint=False))


def ours_without_calendar(history: History, since: int) -> set[Alarm]:
    """The same where nobody said which days are holidays."""
    shut = np.zeros(len(history.days), bool)
    return ours(
        History(
            history.dataset, history.metrics, history.days, history.values, history.sizes, shut
        ),
        since,
    )


def _numbers(history: History, findings: Iterable) -> set[Alarm]:
    return {((f.day - history.days[0]).days, f.metric) for f in findings}


def z_score(history: History, since: int) -> set[Alarm]:
    """Days on which a metric is three standard deviations from the mean of all days before."""
    return _z(history, since, 1, np.nan, 3)


def z_absent_is_zero(history: History, since: int) -> set[Alarm]:
    """The same, where a day without a load counts as one of no rows."""
    return _z(history, since, 1, 0.0, 3)


def z_by_weekday(history: History, since: int) -> set[Alarm]:
    """Compared with the same weekdays before, at least five; no load counts as no rows."""
    return _z(history, since, 7, 0.0, 3)


def _z(history: History, since: int, step: int, absent: float, limit: float) -> set[Alarm]:
    values = history.values.copy()
    volume = values[:, COLUMN["volume"]]
    volume[np.isnan(volume)] = absent
    alarms = set()
    for day in range(since, len(values)):
        for column in range(values.shape[1]):
            past = values[day % step : day : step, column]
            past = past[~np.isnan(past)]
            far = abs(values[day, column] - past.mean()) if len(past) >= 5 else 0
            if far > 0 and far > limit * past.std(ddof=1):
                alarms.add((day, METRICS[column]))
    return alarms


# Scores ----------------------------------------------------------------------------------------


def scored(method: Method, years: Iterable[tuple[History, list[Fault]]]) -> Score:
    """How a method does on some years; the first ninety days are for learning alone."""
    score = Score()
    for history, faults in years:
        alarms = method(history, QUIET)
        for fault in faults:
            score.planted[fault.kind] += 1
            score.found[fault.kind] += any(_finds(alarm, fault) for alarm in alarms)
        strays = {day for day, metric in alarms if not _excused(day, metric, faults)}
        score.wrong += sum(day - 1 not in strays for day in strays)
    score.right = sum(score.found.values())
    return score


def _finds(alarm: Alarm, fault: Fault) -> bool:
    day, metric = alarm
    return fault.first <= day <= fault.last and metric in (*TOUCHES[fault.kind], "together")


def _excused(day: int, metric: str, faults: list[Fault]) -> bool:
    """Whether an alarm finds a fault, or falls in the days after one, which do not count."""
    return any(
        _finds((day, metric), f) or f.last < day <= f.last + (AFTER if f.kind in SLOW else 1)
        for f in faults
    )
