"""A sample library loaded through the pipeline and published, for the tests of gold.

`sample_database`   its name; one for all tests
`sample`            a connection to it; what a test changes is rolled back
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from deployments.sample import make_sample
from tasks.load import load
from tests.fix_warehouse import copied, forget, use
from warehouse import gold
from warehouse.database import connect
from warehouse.spec import dataset

Connection = psycopg.Connection[Any]
NEWEST = dt.date(2026, 6, 30)
TABLES = [name for name in gold.tables() if name.startswith("library_")]
LOADED = ("branches", "items", "loan_events", "members", "holds", "orders", "fines")


def publish(connection: Connection, changed: gold.Changed, names: list[str] = TABLES) -> None:
    gold.publish(connection, names, changed=changed, run_id="test")


def rows(connection: Connection, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    query = f"select {columns} from gold.library_{table}"
    return sorted(connection.execute(query.encode()).fetchall(), key=repr)


@pytest.fixture(scope="session")
def sample_database(template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dirty sample of 8,000 checkouts, loaded through the pipeline and published."""
    landing = tmp_path_factory.mktemp("landing")
    make_sample(landing, checkouts=8_000, end=NEWEST)
    with copied("carrel_gold", template) as name:
        os.environ["CARREL_LANDING"] = str(landing)
        use(name)
        for each in LOADED:
            load(dataset(f"library_{each}"))
        with connect(autocommit=True) as connection:
            publish(connection, {f"library_{each}": None for each in LOADED})
        del os.environ["CARREL_LANDING"]
        yield name
        forget()


@pytest.fixture
def sample(sample_database: str) -> Iterator[Connection]:
    """The sample's database; what a test changes is rolled back."""
    use(sample_database)
    with connect() as connection:
        connection.execute("select 1")
        yield connection
        connection.rollback()
