"""A run observed from its files to what is kept of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from quality.alerts import raise_alerts
from quality.anomalies import detect
from tasks.load import load
from tasks.observe import look_back, observe
from tests.tasks.conftest import Make, ask, make
from warehouse.database import connect
from warehouse.settings import settings
from warehouse.spec import Dataset, dataset

__all__ = ["make"]
HEAD = "id,lent,fine,note\n"


@pytest.fixture
def things(make: Make) -> Dataset:
    columns: dict[str, Any] = {
        "id": {"type": "bigint", "required": True},
        "lent": {"type": "timestamp", "formats": ["%Y-%m-%d %H:%M:%S"]},
        "fine": "numeric",
        "note": "text",
    }
    return make(columns=columns, key=["id"], event="lent")


def bring(things: Dataset, folder: Path, text: str, run: str) -> None:
    path = folder / "things.csv"
    path.write_text(HEAD + text)
    load(things, path, run_id=run)


def line(i: int, note: str = "x") -> str:
    return f"{i},2024-05-0{1 + i % 9} 10:00:00,{i % 4},{note}\n"


def test_a_run_is_profiled_and_measured(things: Dataset, tmp_path: Path) -> None:
    text = "".join(line(i, "" if i < 4 else "x") for i in range(16))
    bring(things, tmp_path, text + "bad,2024-05-01 10:00:00,1,x\n", "one")
    seen = observe(things, "one")
    assert (seen.columns, seen.drifted, seen.unusual) == (4, (), ())
    values = dict(ask("select metric, value from quality.metrics where run_id = 'one'"))
    assert values.pop("duration_s") > 0
    assert 0 <= values.pop("arrival_h") < 24
    newest = dt.datetime(2024, 5, 9, 10)
    age = (dt.datetime.now() - newest).total_seconds() / 3600
    assert values.pop("freshness_h") == pytest.approx(age, abs=2)  # hours of summer time
    assert values == {
        "volume": 17,
        "quarantined": pytest.approx(1 / 17),
        "nulls.note": 0.25,
        "nulls.lent": 0,
        "nulls.fine": 0,
        "mean.fine": 1.5,
    }
    assert ask("select count(*), max(position) from quality.profiles") == [(4, 4)]


def test_only_what_a_run_brought_is_measured(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path, "".join(line(i) for i in range(90)), "one")
    bring(things, tmp_path, "".join(line(i, "") for i in range(90, 100)), "two")
    observe(things, "two")
    query = "select value, size from quality.metrics where run_id = 'two' and metric = 'nulls.note'"
    assert ask(query) == [(1, 10)]


def test_a_run_without_new_rows_keeps_no_profile(things: Dataset, tmp_path: Path) -> None:
    text = "".join(line(i) for i in range(10))
    bring(things, tmp_path, text, "one")
    observe(things, "one")
    load(things, tmp_path / "things.csv", run_id="two", force=True)
    assert observe(things, "two").columns == 0
    load(things, tmp_path / "things.csv", run_id="three")
    assert observe(things, "three").metrics == 0, "the file is known, so nothing came"
    assert ask("select distinct run_id from quality.profiles") == [("one",)]


def test_drift_is_told(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path, "".join(line(i) for i in range(400)), "one")
    observe(things, "one")
    bring(things, tmp_path, "".join(line(i, "y") for i in range(400)), "two")
    assert "note: New value 'y': 100.0% of the rows." in observe(things, "two").drifted


@pytest.mark.parametrize("runs", [1, 3])
def test_looking_back_sees_a_load_that_never_came_once(database: str, runs: int) -> None:
    """However many runs a day has, and however often one looks; a run's finding stays the run's."""
    today = dt.datetime.now(ZoneInfo(settings().timezone)).date()
    branches = dataset("library_branches")
    before = [today - dt.timedelta(days=i) for i in range(120, 1, -1)]
    rows = [
        (branches.table, day, day, f"{day} {run}", 1000 if day != before[-1] else 5)
        for day in before
        for run in range(runs)
    ]
    with connect() as connection:
        connection.cursor().executemany(
            "insert into quality.metrics (dataset, metric, day, at, run_id, value)"
            " values (%s, 'volume', %s, %s, %s, %s)",
            rows,
        )
    detect(branches, before[-1], "that run", over=True)
    for times in (1, 2):
        (told,) = look_back().values()
        assert "usually brings a load" in told[-1]
        found = "select kind, run_id, day from quality.anomalies order by day"
        yesterday = today - dt.timedelta(days=1)
        assert ask(found) == [("jump", "that run", before[-1]), ("missing", None, yesterday)]
        assert len(raise_alerts()) == 2 - times
        assert ask("select times from quality.alerts") == [(2,)], "one for each finding"


def test_looking_back_without_any_history(database: str) -> None:
    assert look_back() == {}
