"""Steps are Prefect tasks shared by flows, and plain functions in tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import Task

from flows import steps
from flows.steps import _unreliable
from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.settings import ROOT

FLOWS = sorted((ROOT / "flows").glob("*.py"))
STEPS = [n for n, value in vars(steps).items() if isinstance(value, Task)]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "flows.steps":
            yield from (alias.name for alias in node.names)


def test_each_step_is_a_task() -> None:
    assert set(STEPS) == {
        "extract",
        "land",
        "clean",
        "merge",
        "verify",
        "observe",
        "publish",
        "sent_again",
    }


def test_flows_share_their_tasks() -> None:
    users = [path.name for path in FLOWS if "publish" in imports(path)]
    assert users == ["ingest.py", "refresh.py", "replay.py", "watch.py"]


def test_only_reading_is_tried_again() -> None:
    assert {n for n in STEPS if getattr(steps, n).retries} == {"extract"}


@pytest.mark.parametrize(
    ("error", "cause", "again"),
    [
        (SourceUnavailable("share"), OSError(5, "input/output error"), True),
        (SourceUnavailable("share"), TimeoutError(), True),
        (SourceUnavailable("gone"), FileNotFoundError(), False),
        (SourceUnavailable("none"), None, False),
        (SourceMalformed("f.csv", "bad"), OSError(5, "input/output error"), False),
    ],
)
def test_what_is_tried_again(error: Exception, cause: Exception | None, again: bool) -> None:
    from prefect.states import Failed

    error.__cause__ = cause
    assert _unreliable(steps.extract, None, Failed(data=error)) is again  # type: ignore[arg-type]


@pytest.mark.parametrize("path", FLOWS, ids=lambda p: p.name)
def test_flows_hold_no_sql_and_no_frames(path: Path) -> None:
    text = path.read_text()
    assert not {"pandas", "sqlalchemy", "psycopg", "duckdb"} & set(text.split())
    assert "select " not in text
    assert "insert into" not in text
