"""How fast the steps of the last run were."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from deployments.cli import app
from tasks.pace import last_run
from tasks.record import StepEnd, record
from warehouse.log import during
from warehouse.spec import Dataset, dataset


@pytest.fixture
def branches(database: str) -> Dataset:
    """Two runs; the later one of two files, of which the second failed."""
    found = dataset("library_branches")
    with during("old"):
        step("clean", found, 9, 1)
    with during("new"):
        step("extract", found, 2, 0.5)
        step("clean", found, 300, 2)
        step("clean", found, 100, 2)
        step("merge", found, None, 1, failed=True)
        step("clean", dataset("library_items"), 7, 1)
        step("publish", None, 12, 4)
    step("clean", found, 1, 1)
    return found


def step(
    name: str, of: Dataset | None, rows: int | None, seconds: float, failed: bool = False
) -> None:
    began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
    record(StepEnd(name, of and of.table, "failed" if failed else "done", began, rows))


def test_the_last_run_counts_its_files_together(branches: Dataset) -> None:
    found = last_run(branches)
    assert [(p.run_id, p.step, p.state, p.times, p.amount, p.unit) for p in found] == [
        ("new", "extract", "done", 1, 2, "files"),
        ("new", "clean", "done", 2, 400, "rows"),
        ("new", "merge", "failed", 1, None, "rows"),
        ("new", "publish", "done", 1, 12, "rows"),
    ]
    assert [p.seconds for p in found] == pytest.approx([0.5, 4, 1, 4], abs=0.4)
    assert found[1].per_second == pytest.approx(100, rel=0.1)
    assert found[2].per_second is None


def test_the_command_tells_it(branches: Dataset) -> None:
    shown = CliRunner().invoke(app, ["stages", "library_branches", "--steps"])
    assert shown.exit_code == 0, shown.output
    clean, merge = shown.stdout.splitlines()[1:3]
    assert clean.split()[:5] == ["library_branches", "clean", "done", "400", "rows"]
    assert clean.split()[-3].endswith("/s")
    assert merge.split()[:4] == ["library_branches", "merge", "failed", "-"]
    told = CliRunner().invoke(app, ["stages", "library_branches", "--steps", "--json"])
    facts = [json.loads(line) for line in told.stdout.splitlines()]
    assert [f["step"] for f in facts] == ["extract", "clean", "merge", "publish"]
    assert facts[1]["per_second"] == pytest.approx(100, rel=0.1)


def test_a_dataset_that_never_ran_has_none(branches: Dataset) -> None:
    assert last_run(dataset("library_fines")) == []
