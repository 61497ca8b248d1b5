"""Baselines against figures computed otherwise."""

from itertools import combinations

import numpy as np
import pytest

from quality.baseline import as_told, evened, expected, qn


def test_qn_is_rousseeuw_and_crouxs() -> None:
    values = np.random.default_rng(1).normal(10, 3, 41)
    pairs = sorted(abs(a - b) for a, b in combinations(values, 2))
    h = len(values) // 2 + 1
    assert qn(values) == pytest.approx(2.2219 * pairs[h * (h - 1) // 2 - 1])
    assert qn(np.random.default_rng(2).normal(10, 3, 2000)) == pytest.approx(3, rel=0.06)
    spoilt = values.copy()
    spoilt[:15] = 1e6
    assert qn(spoilt) < 3 * qn(values), "a third of nonsense does not move it far"
    assert np.isnan(qn(values[:5]))


@pytest.mark.parametrize("metric", ["volume", "duration_s", "nulls.x", "mean.x"])
def test_what_is_made_even_can_be_told(metric: str) -> None:
    even = evened(metric, np.array([0.2]), np.array([1e7]))
    assert as_told(metric, float(even[0])) == pytest.approx(0.2, abs=1e-6)


def test_a_day_is_judged_by_the_days_before_it_alone() -> None:
    random = np.random.default_rng(3)
    values = random.poisson(1000, (200, 1)).astype(float)
    weekdays = np.arange(200) % 7
    sizes = np.full_like(values, np.nan)
    before = expected(["volume"], values, sizes, weekdays)
    values[150:] *= 50
    after = expected(["volume"], values, sizes, weekdays)
    assert np.array_equal(before.middle[:151], after.middle[:151], equal_nan=True)
    assert np.array_equal(before.spread[:151], after.spread[:151], equal_nan=True)


def test_the_week_is_learned() -> None:
    weekdays = np.arange(140) % 7
    usual = np.array([100, 200, 300, 400, 500, 600, 700])[weekdays].astype(float)
    found = expected(["volume"], usual[:, None], np.full((140, 1), np.nan), weekdays)
    last = found.middle[-7:, 0]
    assert np.exp(last) == pytest.approx(usual[-7:] + 0.5, rel=0.02)


def test_counting_alone_makes_a_spread() -> None:
    values = np.full((120, 2), [4.0, 0.5])
    sizes = np.full((120, 2), [np.nan, 4.0])
    found = expected(["volume", "nulls.x"], values, sizes, np.zeros(120, int))
    assert found.spread[-1, 0] >= 0.45, "four rows are two to eight by chance"
    assert found.spread[-1, 1] >= 0.5
