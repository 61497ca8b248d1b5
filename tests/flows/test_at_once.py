"""Two runs of one dataset at once wait for each other or refuse; they never mix."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest

from flows.ingest import ingest
from tasks.ledger import only_run
from tests.flows.fix_desk import Desk
from warehouse.errors import Busy
from warehouse.spec import dataset

Mp = multiprocessing.get_context("forkserver")


def child(environment: dict[str, str], path: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    from warehouse.settings import settings

    settings.cache_clear()
    ingest.fn("desk_loans", path=path)


def test_two_at_once_go_one_after_the_other(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_titles")
    first = desk.many_loans(20_000, seed=1)
    second = first.with_name("other.csv")
    second.write_text(first.read_text().replace(",a,", ",b,"))
    runs: list[Any] = [
        Mp.Process(target=child, args=(dict(os.environ), str(p))) for p in (first, second)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120)
    assert [run.exitcode for run in runs] == [0, 0]
    spans = desk.rows(
        "select min(started_at), max(ended_at) from ops.steps where dataset = 'desk_loans'"
        " and step in ('extract', 'land', 'clean', 'merge', 'verify') group by run_id order by 1"
    )
    assert spans[0][1] <= spans[1][0], "the second begins when the first is over"
    titles = desk.rows("select count(distinct title_code) from silver.desk_loans")
    last = desk.rows("select path from ops.files order by file_id desc limit 1")
    assert titles == [(1,)] if last[0][0].endswith("other.csv") else titles == [(2,)]
    silver, gold = desk.rows(
        "select count(*) from silver.desk_loans union all select sum(loans) from gold.desk_daily"
    )
    assert silver == gold


def test_who_waits_too_long_is_told(desk: Desk, setting: Callable[..., None]) -> None:
    desk.files()
    setting(lock_wait_s=0.2)
    with only_run(dataset("desk_loans")), pytest.raises(Busy) as error:
        ingest.fn("desk_loans")
    assert error.value.exit_code == 5
    assert ingest.fn("desk_loans").verdict.publishes
