"""Fixtures on a real PostgreSQL, one embedded server a test session.

`database`    a fresh migrated database; the settings point at it; for tests that commit
`connection`  a psycopg connection as the owner whose work is rolled back; for tests that do not
`setting`     changes settings for one test: `setting(landing=folder, lock_wait_s=1)`
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from deployments.postgres import Server, server
from tests.ports import free_port
from warehouse import audit
from warehouse import database as database_module
from warehouse.settings import LOGINS, settings

NONE = "ask_for_the_fixture_database"
TEMPLATE = "carrel_template"
NUMBERS = count(1)
READY: dict[str, Callable[[Path], object]] = {}  # by fixture: what its database begins with


def forget() -> None:
    """Have the audit log write what waits, close the pools and read the settings anew."""
    engine = database_module.engine
    if engine.cache_info().currsize:
        audit.LATE.flush(3)
        for arguments in ((), *((login,) for login in LOGINS)):
            engine(*arguments).dispose()
    engine.cache_clear()
    settings.cache_clear()


def use(name: str) -> None:
    """Point the settings of this process, and of those it starts, at a database."""
    forget()
    os.environ["CARREL_DATABASE"] = name
    settings.cache_clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The running embedded server."""
    # A port of its own: a server that a test kills must find it free again.
    running = replace(server(), durable=False, first_port=free_port())
    running.start()
    yield running
    forget()
    running.stop()


@pytest.fixture(scope="session")
def template(postgres: Server) -> str:
    """Name of a migrated database without rows, to be copied."""
    from warehouse.migrate import migrate

    use(TEMPLATE)
    postgres.make_database()
    migrate()
    use(NONE)
    return TEMPLATE


@pytest.fixture
def database(request: pytest.FixtureRequest, template: str) -> Iterator[str]:
    """A fresh migrated database, dropped afterwards; yields its name.

    It has already what a fixture in READY that the test asks for begins with.
    """
    name = f"carrel_{next(NUMBERS)}"
    begin = next((READY[f] for f in request.fixturenames if f in READY), None)
    with copied(name, prepared(begin, template) if begin else template):
        use(name)
        yield name
        use(NONE)


@cache
def prepared(begin: Callable[[Path], object], template: str) -> str:
    """Name of a database in which `begin` was done once, with an empty project folder."""
    name = f"carrel_ready_{next(NUMBERS)}"
    create_copy(name, template)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARREL_PROJECT", folder)
        use(name)
        begin(Path(folder))
        environment.undo()
        use(NONE)
    return name


@pytest.fixture(scope="session")
def scratch(template: str) -> Iterator[str]:
    """The database that tests with `connection` share and never change."""
    with copied("carrel_scratch", template) as name:
        yield name


@pytest.fixture
def connection(scratch: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the owner in a transaction that is rolled back."""
    use(scratch)
    with database_module.connect() as opened:
        yield opened
        opened.rollback()
    use(NONE)


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that changes settings for one test."""

    def change(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"CARREL_{name.upper()}", str(value))
        forget()

    yield change
    monkeypatch.undo()
    forget()


class copied:  # noqa: N801 - used as a statement
    """A copy of a database for the length of a `with`."""

    def __init__(self, name: str, template: str) -> None:
        self.name, self.template = name, template

    def __enter__(self) -> str:
        create_copy(self.name, self.template)
        return self.name

    def __exit__(self, *_: object) -> None:
        drop_database(self.name)


def create_copy(name: str, template: str) -> None:
    """Copy a database as files, which takes half the processor time of writing its pages anew."""
    as_admin("create database {} template {} strategy file_copy", name, template)


def drop_database(name: str) -> None:
    """Drop a database, whoever is connected to it."""
    try:
        as_admin("drop database {} with (force)", name)
    except psycopg.errors.InsufficientPrivilege:
        # An autovacuum worker, not ours to end; without force PostgreSQL tells it to go.
        as_admin("drop database {}", name)


def as_admin(statement: str, *names: str) -> None:
    """Run a statement on the server's own database, outside a transaction."""
    url = settings().url().set(drivername="postgresql", database="postgres")
    conninfo = url.render_as_string(hide_password=False)
    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
