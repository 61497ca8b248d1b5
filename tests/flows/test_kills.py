"""Kill -9 of the flow process in each step: gold is whole, and the next run is right.

A child runs the flow over a generated file. From outside, pg_stat_activity shows which step it is
in; after a seeded delay within the step the child is killed. A reader looks at gold all the while.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fix_warehouse import copied, forget, use
from tests.flows.fix_desk import Desk, make_desk
from tests.flows.fix_orchestra import wait_for
from warehouse.database import connect

STEPS = ("land", "clean", "merge", "publish")
ROWS = 120_000
BEFORE, AFTER = 1, 2  # seeds of yesterday's file and of today's
PHASES = (  # what the step is called when a backend of the child runs such a statement
    ("publish", re.compile(r"gold_next|ops\.publications|gold\.\"")),
    ("merge", re.compile(r"\bchanges\b|\"silver\"|rows_in")),
    ("land", re.compile(r"\"bronze\"|lines_\d+")),
    ("clean", re.compile(r"\"staging\"|staging\.")),
)
ACTIVITY = """
select query from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
"""
GOLD = """
select (select sum(loans)::int from gold.desk_daily),
       (select sum(loans)::int from gold.desk_popular),
       (select md5(string_agg(d::text, ' ' order by day)) from gold.desk_daily d)
"""
SILVER = """
select count(*), sum(hashtext(concat(loan_id, title_code, lent_at))) from silver.desk_loans
"""
LEFT = """
select (select count(*) from pg_tables where schemaname = 'staging'),
       (select count(*) from ops.loads where state in ('landing', 'landed'))
"""
LEDGER = """
select rows_in,
       rows_inserted + rows_updated + rows_unchanged + rows_quarantined + rows_ignored
from ops.loads where state = 'done' and dataset = 'desk_loans' order by load_id desc limit 1
"""
Mp = multiprocessing.get_context("forkserver")


def flow_process(environment: dict[str, str]) -> None:
    """What the child does: the flow, as the command line calls it."""
    os.environ.clear()
    os.environ.update(environment)
    from flows.ingest import ingest
    from warehouse.settings import settings

    settings.cache_clear()
    ingest.fn("desk_loans")


@dataclass
class Truth:
    """What must stand in the database once a file is loaded."""

    bad: int
    silver: tuple[Any, ...]
    gold: tuple[Any, ...]


@pytest.fixture(scope="module")
def yesterday(
    template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Desk, dict[int, Truth], dict[str, float]]]:
    """A database with yesterday's file loaded and published, to be copied for each kill."""
    folder = tmp_path_factory.mktemp("kills")
    os.environ |= {"CARREL_PROJECT": str(folder), "CARREL_LANDING": str(folder / "landing")}
    forget()
    Mp.set_forkserver_preload(["flows.ingest", "quality.soda"])
    with copied("carrel_today", template) as scratch:
        use(scratch)
        desk = make_desk(folder)
        desk.files()
        truths = {BEFORE: load(desk, BEFORE)}
        forget()
        with copied("carrel_yesterday", scratch):
            seconds, truths[AFTER] = measured(desk)
            yield desk, truths, seconds
    for name in ("CARREL_PROJECT", "CARREL_LANDING"):
        del os.environ[name]
    os.environ["CARREL_PROJECT"] = str(Path(os.environ["CARREL_HOME"]) / "local")
    use("ask_for_the_fixture_database")


def load(desk: Desk, seed: int) -> Truth:
    """Load a file undisturbed, and take down what is then true."""
    from flows.ingest import ingest

    text = desk.many_loans(ROWS, seed=seed).read_text()
    if seed == BEFORE:
        ingest.fn("desk_titles")
    ingest.fn("desk_loans").require_quality()
    return Truth(text.count("never"), desk.rows(SILVER)[0], desk.rows(GOLD)[0])


def measured(desk: Desk) -> tuple[dict[str, float], Truth]:
    """How long each step of today's run lasts, undisturbed, and what is true after it."""
    desk.many_loans(ROWS, seed=AFTER)
    child = start()
    seen: dict[str, list[float]] = {}
    with connect(autocommit=True) as watcher:
        while child.is_alive():
            if step := step_of(watcher):
                seen.setdefault(step, []).append(time.monotonic())
            time.sleep(0.005)
    assert child.exitcode == 0
    assert set(STEPS) <= set(seen), f"steps not seen: {set(STEPS) - set(seen)}"
    return {s: t[-1] - t[0] for s, t in seen.items()}, load(desk, AFTER)


def start() -> Any:
    child = Mp.Process(target=flow_process, args=(dict(os.environ),), daemon=True)
    child.start()
    return child


def step_of(watcher: psycopg.Connection[Any], wanted: str | None = None) -> str | None:
    """The step that the child's statements show, `wanted` first where two run side by side."""
    queries = [query for (query,) in watcher.execute(ACTIVITY)]
    steps = [name for name, pattern in PHASES if any(map(pattern.search, queries))]
    return wanted if wanted in steps else (steps[0] if steps else None)


def kill_in(step: str, delay: float, seen: Counter[tuple[Any, ...]]) -> bool:
    """Start the flow and kill it that long after the step began; False if it was over before.

    `seen` counts what a reader of gold got meanwhile.
    """
    child = start()
    began = None
    with connect(autocommit=True) as watcher:
        while child.is_alive():
            seen.update(watcher.execute(GOLD).fetchall())
            now = time.monotonic()
            if began is None and step_of(watcher, step) == step:
                began = now
            if began is not None and now - began >= delay:
                os.kill(child.pid, signal.SIGKILL)
                child.join()
                break
            time.sleep(0.002)
        wait_for(lambda: not watcher.execute(ACTIVITY).fetchall(), what="the child's backends")
    return bool(child.exitcode == -signal.SIGKILL)


def check_kill(prepared: Any, step: str, seed: int) -> None:
    """Kill within the step; sooner, on a fresh copy, where it went quicker than when measured."""
    delay = random.Random(f"{step} {seed}").uniform(0, 0.8 * prepared[2][step])
    while not killed_and_right(prepared, step, delay, f"carrel_kill_{step}_{seed}"):
        assert delay > 0.001, f"{step} is over before anything can kill it"
        delay /= 2


def killed_and_right(prepared: Any, step: str, delay: float, name: str) -> bool:
    """Whether the kill came in time; gold was whole, and the run after a kill is right."""
    desk, truths, _ = prepared
    seen: Counter[tuple[Any, ...]] = Counter()
    with copied(name, "carrel_yesterday"):
        use(name)
        desk.many_loans(ROWS, seed=AFTER)
        killed = kill_in(step, delay, seen)
        whole = {truths[BEFORE].gold, truths[AFTER].gold}
        assert set(seen) <= whole, "gold was half published"
        if not killed:
            use("ask_for_the_fixture_database")
            return False
        assert desk.rows(GOLD)[0] in whole
        if step != "publish":
            assert desk.rows(GOLD)[0] == truths[BEFORE].gold, "yesterday's gold stays"
        next_run_is_right(desk, truths[AFTER])
        use("ask_for_the_fixture_database")
    return True


def next_run_is_right(desk: Desk, truth: Truth) -> None:
    from flows.ingest import ingest

    ingest.fn("desk_loans").require_quality()
    assert desk.rows(GOLD)[0] == truth.gold
    assert desk.rows(SILVER)[0] == truth.silver
    bad = "select count(distinct record_no) from quarantine.desk_loans"
    assert desk.rows(bad) == [(truth.bad,)]
    assert desk.rows(LEFT) == [(0, 0)], "nothing is left over"
    assert desk.rows(LEDGER) == [(ROWS, ROWS)]
    again = ingest.fn("desk_loans")
    assert (again.files_unchanged, {p.state for p in again.published}) == (1, {"current"})


@pytest.mark.parametrize("step", STEPS)
def test_a_kill(yesterday: Any, step: str) -> None:
    check_kill(yesterday, step, seed=0)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 8))
@pytest.mark.parametrize("step", STEPS)
def test_many_kills(yesterday: Any, step: str, seed: int) -> None:
    check_kill(yesterday, step, seed)
