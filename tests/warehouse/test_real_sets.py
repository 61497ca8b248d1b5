"""The open library datasets, loaded from the real files, checked against their figures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from quality.verdict import judge
from tasks.load import load
from tests.fix_warehouse import NONE, copied, use
from tests.warehouse.figures import FACTS, RECORDS, Fact
from warehouse.database import connect
from warehouse.ddl import migration
from warehouse.migrate import migration_path
from warehouse.settings import settings
from warehouse.spec import dataset, datasets

pytestmark = pytest.mark.shared
SETS = list(FACTS)
CASES = [pytest.param(t, f, id=f"{t}: {f.what}") for t, facts in FACTS.items() for f in facts]
LAST = """
select rows_in, rows_inserted, rows_updated, rows_unchanged, rows_quarantined, rows_ignored,
    rows_deleted, lines
from ops.loads where dataset = %s and state = 'done' order by load_id desc limit 1
"""


@pytest.fixture(scope="module")
def figures(shared: Path) -> dict[str, Any]:
    """The figures that were computed from the files by other means."""
    found: dict[str, Any] = json.loads((shared / "FIGURES.json").read_text())
    return found


@pytest.fixture(scope="module")
def loaded(template: str, shared: Path) -> Iterator[str]:
    """A database into which every set has been loaded once."""
    before = os.environ.get("CARREL_LANDING")
    with copied("carrel_real_sets", template) as name:
        os.environ["CARREL_LANDING"] = str(shared)
        use(name)
        for table in SETS:
            load(dataset(table), run_id="real sets")
        yield name
        os.environ.pop("CARREL_LANDING")
        if before:
            os.environ["CARREL_LANDING"] = before
        use(NONE)


@pytest.fixture(scope="module")
def silver(loaded: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(("table", "fact"), CASES)
def test_figure(
    silver: psycopg.Connection[Any], figures: dict[str, Any], table: str, fact: Fact
) -> None:
    rows = silver.execute(fact.query).fetchall()
    expected = fact.expected(figures)
    if isinstance(expected, set):
        assert set(rows) == expected
    elif isinstance(expected, list):
        assert rows == expected
    else:
        assert len(rows) == 1
        assert rows[0] == (expected if isinstance(expected, tuple) else (expected,))


@pytest.mark.parametrize("table", SETS)
def test_nothing_is_lost(silver: psycopg.Connection[Any], shared: Path, table: str) -> None:
    row = silver.execute(LAST, [table]).fetchone()
    assert row
    rows_in, *where, deleted, _ = row
    assert rows_in == RECORDS[table] == sum(where)
    assert deleted == 0
    held = silver.execute(f"select count(*) from quarantine.{table}").fetchone()
    assert held == (0,), "no real row is unusable"


@pytest.mark.parametrize("table", SETS)
def test_bronze_holds_every_line(silver: psycopg.Connection[Any], shared: Path, table: str) -> None:
    path = next(shared.glob(dataset(table).source.path))
    text = path.read_bytes()
    if path.suffix == ".gz":
        import gzip

        text = gzip.decompress(text)
    kept = silver.execute(f"select count(*) from bronze.{table}").fetchone()
    assert kept == (text.count(b"\n"),)


@pytest.mark.parametrize("table", SETS)
def test_second_run_changes_nothing(silver: psycopg.Connection[Any], table: str) -> None:
    before = _fingerprint(silver, table)
    assert load(dataset(table)) == []
    assert _fingerprint(silver, table) == before


@pytest.mark.parametrize("table", SETS)
def test_forced_run_finds_every_row_unchanged(silver: psycopg.Connection[Any], table: str) -> None:
    before = _fingerprint(silver, table)
    again = load(dataset(table), force=True)[0]
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
    assert again.unchanged == again.rows_after == before[0]
    assert _fingerprint(silver, table) == before


@pytest.mark.parametrize("table", SETS)
def test_contract_holds(loaded: str, table: str) -> None:
    verdict = judge(dataset(table), load_id=None, run_id=None)
    assert verdict.publishes, verdict


@pytest.mark.parametrize("table", SETS)
def test_spec_says_what_a_reader_needs(table: str) -> None:
    spec = dataset(table)
    assert spec.access.public, "open data"
    assert spec.licence
    assert (
        "no borrower" in spec.description
        or "no person" in spec.description
        or ("no reader" in spec.description)
    )
    assert not [c.name for c in spec.columns if c.privacy]
    assert spec.examples


@pytest.mark.parametrize("table", SETS)
def test_migration_is_what_the_spec_prints(table: str) -> None:
    spec = dataset(table)
    assert migration_path(spec).read_text("utf-8") == migration(spec)


def test_every_group_is_there() -> None:
    groups = {d.group for d in datasets().values() if d.table in SETS}
    assert groups == {"newcastle", "librarieswest", "cornell", "catalogues"}


def _fingerprint(silver: psycopg.Connection[Any], table: str) -> tuple[int, str]:
    """How many rows silver has, and a sum over all of them."""
    row = silver.execute(
        f"select count(*), coalesce(sum(hashtextextended(s::text, 0)), 0)::text"
        f" from silver.{table} as s"
    ).fetchone()
    assert row
    return row


def test_landing_is_the_real_data(loaded: str, shared: Path) -> None:
    assert settings().landing_folder == shared
