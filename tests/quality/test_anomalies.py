"""Anomalies kept in PostgreSQL, from metrics of made-up runs."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quality.anomalies import detect
from quality.closures import closures
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.spec import Dataset, dataset

START = dt.date(2025, 1, 6)  # a Monday
TODAY = START + dt.timedelta(days=147)  # a Monday, too


@pytest.fixture
def loans(shop: Path) -> Dataset:
    return dataset("shop_loans")


def measured(
    days: range,
    volume: Callable[[int], float] = lambda i: 1000 + 20 * (i * 7 % 5),
    *,
    runs: int = 1,
    metric: str = "volume",
) -> None:
    """Metrics of runs on some days (numbers from START), none on Sundays."""
    rows = [
        ("shop_loans", metric, day, dt.datetime.combine(day, dt.time(6 + r)), f"{i} {r}", volume(i))
        for i in days
        for r in range(runs)
        if (day := START + dt.timedelta(days=i)).weekday() != 6
    ]
    with connect() as connection:
        connection.cursor().executemany(
            "insert into quality.metrics (dataset, metric, day, at, run_id, value)"
            " values (%s, %s, %s, %s, %s, %s)",
            rows,
        )


def kept() -> list[tuple[Any, ...]]:
    with connect() as connection:
        return connection.execute(
            "select metric, kind, day, severity, message, value from quality.anomalies order by 3"
        ).fetchall()


def test_a_drop_is_kept_and_told(loans: Dataset) -> None:
    measured(range(147))
    measured(range(147, 148), lambda _: 212)
    (said,) = detect(loans, TODAY, "run")
    assert said.startswith("Monday loads usually bring ")
    assert said.endswith("; today 212.")
    assert kept() == [("volume", "jump", TODAY, "critical", said, 212.0)]


def test_a_mended_day_is_no_anomaly_any_more(loans: Dataset) -> None:
    measured(range(147))
    measured(range(147, 148), lambda _: 212)
    detect(loans, TODAY)
    with connect() as connection:
        connection.execute("update quality.metrics set value = 1010 where day = %s", [TODAY])
    assert detect(loans, TODAY) == []
    assert kept() == []


def test_days_without_a_load_are_seen_at_the_next(loans: Dataset) -> None:
    measured(range(143))
    measured(range(147, 148))
    said = detect(loans, TODAY)
    days = [START + dt.timedelta(days=i) for i in (143, 144, 145)]
    assert [row[:3] for row in kept()] == [("volume", "missing", day) for day in days]
    assert "nothing came" in said[0]


def test_closed_days_are_known_by_the_setting(loans: Dataset, setting: Any) -> None:
    measured(range(143))
    measured(range(147, 148))
    setting(closed_days="2025-05-29, 05-30,05-31", project=loans.path.parents[2])
    assert detect(loans, TODAY) == []


def test_a_day_of_several_runs_is_judged_when_it_is_over(loans: Dataset) -> None:
    measured(range(147), runs=3)
    measured(range(147, 148), runs=1)
    assert detect(loans, TODAY) == []
    assert len(detect(loans, TODAY + dt.timedelta(days=1))) == 1


def test_a_file_loaded_again_does_not_count_twice(loans: Dataset) -> None:
    measured(range(147))
    measured(range(147, 148), runs=2)
    assert detect(loans, TODAY) == []


def test_nothing_measured_is_nothing_unusual(loans: Dataset) -> None:
    assert detect(loans, TODAY) == []


def test_the_model_is_fitted_once_in_four_weeks(loans: Dataset) -> None:
    noise = np.random.default_rng(1).normal(0, 1, 200)
    measured(range(148), lambda i: round(1000 + 60 * noise[i]))
    for name in ("mean.a", "mean.b"):
        measured(range(148), lambda i: 50 + 3 * noise[i] + 0.1 * (i % 3), metric=name)
    detect(loans, TODAY)
    with connect() as connection:
        fitted = connection.execute("select fitted_on, model from quality.models").fetchall()
    assert fitted[0][0] == TODAY
    assert set(fitted[0][1]["metrics"]) == {"mean.a", "mean.b", "volume"}
    i = 148
    for name, value in (("volume", 1150), ("mean.a", 42.0), ("mean.b", 57.0)):
        measured(range(i, i + 1), lambda _, v=value: v, metric=name)
    sys.modules.pop("sklearn.covariance", None)
    (said,) = detect(loans, TODAY + dt.timedelta(days=1))
    assert "sklearn.covariance" not in sys.modules, "a kept model needs no scikit-learn"
    assert said.startswith("Each metric alone is as usual, but today not all of them together:")


def test_closures(setting: Any) -> None:
    setting(closed_days="12-25, 02-29, 2026-04-03")
    first, last = dt.date(2024, 12, 1), dt.date(2026, 12, 1)
    assert closures(first, last) == {
        dt.date(2024, 12, 25),
        dt.date(2025, 12, 25),
        dt.date(2026, 4, 3),
    }
    setting(closed_days="Christmas")
    with pytest.raises(ConfigurationError, match="'Christmas' is no day"):
        closures(first, last)
