"""Judging: made-up histories with one thing wrong, and seeded years against plain z-scores."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from benchmarks import planted
from quality.joint import LEAST_DAYS, fit
from quality.judge import Finding, History, history_of, judge
from quality.words import sentence

START = dt.date(2025, 1, 6)  # a Monday
UNSEEN = (101, 102)  # seeds that nothing was tuned on


def history(volume: np.ndarray, **more: np.ndarray) -> History:
    columns = {"volume": volume} | more
    values = np.stack([columns[name] for name in sorted(columns)], axis=1).astype(float)
    days = [START + dt.timedelta(days=i) for i in range(len(volume))]
    sizes = np.full_like(values, np.nan)
    return History("h", sorted(columns), days, values, sizes, np.zeros(len(days), bool))


def week(days: int, usual: float = 4000, seed: int = 1) -> np.ndarray:
    """Rows of each day: none on Sundays, half on Saturdays, noise of four in a hundred."""
    noise = np.random.default_rng(seed).normal(1, 0.04, days)
    rows = usual * noise * np.array([1, 1.1, 1, 0.9, 1.2, 0.5, np.nan])[np.arange(days) % 7]
    return np.round(rows)


def test_an_even_history_is_quiet() -> None:
    assert judge(history(week(364)), 60, joint=False) == []


def test_a_drop_is_told_as_one_would_say_it() -> None:
    rows = week(121)
    rows[113] = 212
    (found,) = judge(history(rows), 113, joint=False)
    assert (found.kind, found.metric, found.value) == ("jump", "volume", 212)
    assert found.low is not None
    assert 3700 < found.low < 4400 < (found.high or 0) < 5100
    said = sentence(found, found.day, weekly=True)
    assert said.startswith("Tuesday loads usually bring 4,")
    assert said.endswith(" rows; today 212.")
    assert found.severity == "critical"


def test_closed_days_are_silent_and_missing_ones_are_not() -> None:
    rows = week(150)
    rows[121] = np.nan  # a Thursday; every Sunday is missing, too
    (found,) = judge(history(rows), 60, joint=False)
    assert (found.kind, found.day) == ("missing", START + dt.timedelta(days=121))
    assert "usually brings a load" in sentence(found, START, weekly=True)
    holiday = history(rows)
    holiday.closed[121] = True
    assert judge(holiday, 60, joint=False) == []


def test_small_samples_do_not_alarm() -> None:
    random = np.random.default_rng(5)
    rows = random.poisson(3, 364).astype(float)
    shares = random.binomial(3, 0.3, 364) / 3
    made = history(rows, **{"nulls.x": shares})
    made.sizes[:, 0] = 3
    assert [f for f in judge(made, 60, joint=False) if f.kind != "missing"] == []


def test_rare_loads_have_no_week() -> None:
    days = [START + dt.timedelta(days=30 * i) for i in range(40)]
    rows = [("volume", day, 1000.0 + i % 3, None) for i, day in enumerate(days[:-1])]
    made = history_of("h", [*rows, ("volume", days[-1], 30.0, None)], days[-1])
    assert made is not None
    assert not made.weekly
    (found,) = judge(made, 35, joint=False)
    assert sentence(found, days[-1], weekly=False).startswith("Loads usually bring")
    assert history_of("h", [], days[-1]) is None


def test_a_short_history_is_not_judged() -> None:
    rows = week(20)
    rows[-1] = 1
    assert judge(history(rows), 0) == []


@pytest.mark.parametrize(
    ("metric", "usual", "becomes", "told"),
    [
        ("mean.fine", 2.0, 3.0, "The mean of fine drifted"),
        ("duration_s", 10.0, 30.0, "Time a load takes drifted"),
    ],
)
def test_a_slow_drift_is_told_once(metric: str, usual: float, becomes: float, told: str) -> None:
    random = np.random.default_rng(4)
    values = usual + (becomes - usual) * np.clip((np.arange(200) - 120) / 30, 0, 1)
    values *= random.normal(1, 0.08, 200)
    found = judge(history(week(200), **{metric: values}), 60, joint=False)
    drifts = [f for f in found if f.kind == "drift"]
    assert [f.metric for f in drifts] == [metric]
    assert 120 < (drifts[0].day - START).days < 165
    assert sentence(drifts[0], START, weekly=True).startswith(told)


def test_better_is_no_anomaly() -> None:
    seconds = np.full(150, 20.0) + np.random.default_rng(1).normal(0, 1, 150)
    seconds[-1] = 2
    assert judge(history(week(150), duration_s=seconds), 140, joint=False) == []


def test_together_is_seen_what_alone_is_not() -> None:
    random = np.random.default_rng(7)
    both = random.normal(0, 1, 300)
    scores = np.stack([both + random.normal(0, 0.15, 300) for _ in range(3)], axis=1)
    model = fit(["a", "b", "c"], scores)
    assert model is not None
    odd = np.array([[2.2, -2.2, 2.2], [2.2, 2.2, 2.2], [np.nan, 0.0, 0.0]])
    far = model.distances(["a", "b", "c"], odd)
    assert far[0] > 1
    assert (far[1:] < 1).all()
    assert fit(["a", "b", "c"], scores[: LEAST_DAYS - 1]) is None


def test_days_that_were_told_do_not_hide_what_comes_apart() -> None:
    random = np.random.default_rng(8)
    both = random.normal(0, 1, 250)
    scores = np.stack([both, both + random.normal(0, 0.15, 250), random.normal(0, 1, 250)], axis=1)
    names = ["a", "b", "c"]
    odd = np.array([[1.5, -1.5, 0.0]])
    calm = fit(names, scores)
    scores[::10, 1] -= 9
    told = fit(names, scores)
    assert calm is not None
    assert told is not None
    assert calm.distances(names, odd)[0] > 1
    assert told.distances(names, odd)[0] > 1
    loud = scores[:100] + np.where(np.arange(100) < 60, 9, 0)[:, None]
    assert fit(names, loud) is None, "too few calm days"


def test_pairs_that_part_are_seen_together_alone_on_seeds_it_was_not_tuned_on() -> None:
    years = planted.libraries(UNSEEN[0], 3)
    together = planted.scored(planted.ours, years)
    alone = planted.scored(planted.ours_alone, years)
    assert alone.found["apart"] == 0
    assert together.found["apart"] >= together.planted["apart"] / 3
    assert together.precision >= alone.precision


@pytest.mark.parametrize("metric", ["arrival_h", "freshness_h", "quarantined", "nulls.x", "volume"])
def test_every_metric_has_its_words(metric: str) -> None:
    found = Finding("jump", metric, START, 0.5, 0.1, 0.2, 9.0)
    said = sentence(found, START, weekly=True)
    assert said.endswith(".")
    assert "Monday" in said
    assert "today" in said


def test_ours_beats_the_plain_z_score_on_seeds_it_was_not_tuned_on() -> None:
    years = [year for seed in UNSEEN for year in planted.libraries(seed, 3)]
    mine = planted.scored(planted.ours_alone, years)
    others = [planted.scored(m, years) for m in (planted.z_score, planted.z_by_weekday)]
    assert mine.f1 > 0.8
    assert mine.precision > 0.8
    for other in others:
        assert mine.f1 > other.f1 + 0.2
        assert mine.precision > other.precision
