"""Runs that are killed, or meet another run: the next run is right, and nothing is mixed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.extract import extract
from tasks.ledger import only_run
from tasks.load import load
from tasks.rebuild import rebuild
from tests.tasks.conftest import Make, ask, counts, findings, rows
from tests.tasks.fix_kill import Point, killed, started
from warehouse.database import connect
from warehouse.errors import Busy, LoadFailed
from warehouse.spec import Dataset

LOAD = """
from tasks import blocks
from tasks.load import load
blocks.BLOCK = 2000
print("ready", flush=True)
load(read_spec(Path(given[0])), Path(given[1]))
"""
POINTS = [
    ("tasks.land", "paged", 3),
    ("tasks.clean", "Cleaning._clean", 3),
    ("tasks.clean", "_settle", 1),
    ("tasks.settle", "Settling.find_changes", 1),
    ("tasks.settle", "Settling.index", 1),
    ("tasks.merge", "merge_into", 1),
    ("tasks.merge", "quarantine", 1),
    ("tasks.merge", "_close", 1),
    ("tasks.merge", "drop_staging", 1),
]
HEADER = "id,n\n"


@pytest.fixture
def things(make: Make, tmp_path: Path) -> Dataset:
    return make(
        columns={"id": "bigint", "n": "integer"},
        key=["id"],
        source={"path": str(tmp_path / "*.csv")},
    )


def lines(count: int, step: int = 1) -> str:
    """Rows of which every tenth is bad and every eleventh a duplicate."""
    return HEADER + "".join(
        f"{i - 1 if i % 11 == 0 else i},{'x' if i % 10 == 0 else i * step}\n" for i in range(count)
    )


def state(dataset: Dataset) -> Any:
    """Everything that a load leaves, but for its number."""
    return rows(dataset), findings(dataset), ask("select line from bronze.test_things order by 1")


def expected(dataset: Dataset, path: Path) -> Any:
    """The same after undisturbed loads into a fresh set of tables."""
    with connect() as connection:
        connection.execute(
            "truncate silver.test_things, quarantine.test_things, bronze.test_things_pages;"
            "delete from ops.loads"
        )
    load(dataset, path, force=True)
    return state(dataset)


def check_clean() -> None:
    """Nothing half-done is left."""
    assert ask("select tablename from pg_tables where schemaname = 'staging'") == []
    assert ask("select state from ops.loads where state in ('landing', 'landed')") == []
    partitions = ask(
        "select count(*) from pg_inherits where inhparent = 'bronze.test_things_pages'::regclass"
    )
    assert partitions == [(1,)]


FEW = [p for p in POINTS if p[1] in ("Cleaning._clean", "_close")]
NOT_REACHED = {("Settling.index", True), ("Settling.find_changes", False)}


def _cases() -> Iterator[Any]:
    """Few kill points always, all of them in the long run; first load and later load."""
    for point in POINTS:
        for again in (False, True):
            if (point[1], again) not in NOT_REACHED:
                marks = () if point in FEW else pytest.mark.full
                yield pytest.param(point, again, marks=marks)


@pytest.mark.parametrize(("point", "again"), list(_cases()))
def test_the_run_after_a_kill_is_right(
    point: Point, again: bool, things: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    if again:
        path.write_text(lines(500, step=2))
        load(things, path)
        before = rows(things)
    path.write_text(lines(1000))
    assert killed(point, LOAD, things.path, path)
    assert not again or rows(things) == before
    loaded = load(things, path)[0]
    assert loaded.rows_in == 1000
    assert again or counts(loaded)[1] == loaded.rows_after
    if not again:
        check_clean()
    after = state(things)
    assert len(after[0]) == loaded.rows_after
    assert again or after == expected(things, path)


def test_a_killed_run_whose_file_is_gone_is_finished_from_bronze(
    things: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(lines(300))
    assert killed(("tasks.merge", "merge_into", 1), LOAD, things.path, path)
    path.unlink()
    (held,) = extract(things)
    assert held.bronze is not None
    (loaded,) = load(things)
    check_clean()
    after = state(things)
    path.write_text(lines(300))
    assert load(things) == []
    assert (loaded.rows_in, after) == (300, expected(things, path))


@pytest.mark.full
@pytest.mark.parametrize("seed", range(20))
def test_a_kill_at_any_time(seed: int, things: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(lines(30_000))
    with started(("", "", 0), LOAD, things.path, path) as running:
        assert running.stdout
        running.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 1.2))
        running.kill()
    load(things, path)
    check_clean()
    assert state(things) == expected(things, path)


def test_two_runs_at_once_wait_for_each_other(things: Dataset, tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for step, path in enumerate(paths, 1):
        path.write_text(lines(2000, step))
    done: list[Any] = []
    runs = [threading.Thread(target=lambda p=p: done.extend(load(things, p))) for p in paths]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    first, second = sorted(done, key=lambda loaded: loaded.rows_before)
    assert second.rows_before == first.rows_after == first.inserted
    assert second.inserted == 0
    assert second.updated + second.unchanged == first.inserted


def test_a_run_that_waits_too_long_says_so(things: Dataset, tmp_path: Path, setting: Any) -> None:
    setting(lock_wait_s=0.2)
    with only_run(things), pytest.raises(Busy, match="another run"):
        load(things, tmp_path / "a.csv")


def test_silver_can_be_made_from_bronze_alone(things: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(lines(400))
    (tmp_path / "b.csv").write_text(HEADER + "5,55\n1000,\xe9\n1001,7\n7\n", "cp1252")
    load(things)
    (tmp_path / "a.csv").write_text(lines(410, step=3).replace("\n", "\r\n"))
    load(things)
    load(things, tmp_path / "b.csv", force=True)
    before = ask("select * from silver.test_things order by id"), findings(things)
    with connect() as connection:
        connection.execute("truncate silver.test_things, quarantine.test_things")
    for path in tmp_path.glob("*.csv"):
        path.unlink()
    assert rebuild(things) == len(before[0])
    assert (ask("select * from silver.test_things order by id"), findings(things)) == before
    with connect() as connection:
        connection.execute("drop table bronze.test_things_l1")
    with pytest.raises(LoadFailed, match="not in bronze"):
        rebuild(things)
    assert ask("select * from silver.test_things order by id") == before[0]
