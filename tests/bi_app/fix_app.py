"""The app as it is really served, on a small library of its own.

`library`   a database with gold, one member's loans and an account a role; one for all tests
`here`      the settings of this process point at that database
`app`       `panel serve` in a process of its own: `app.base` is its address
`visitor`   makes clients, signed in by role: `visitor("librarian")`
`browser`   a Chromium for the Playwright journeys
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bi_app.auth import accounts
from bi_app.auth.passwords import hash_password
from bi_app.models import store
from bi_app.serve import command, environment
from tests.bi_app.chromium import launch
from tests.bi_app.client import Client
from tests.bi_app.gold_rows import fill
from tests.bi_app.quality_rows import fill_history, hold_back
from tests.bi_app.shop_rows import fill_shop
from tests.fix_warehouse import NONE, copied, use
from tests.ports import free_port
from warehouse.access import Role
from warehouse.database import connect
from warehouse.settings import ROOT

PASSWORD = "a quiet reading room"  # pragma: allowlist secret
EMAILS: dict[str, str] = {r: f"{r}@carrel.example" for r in ("admin", "librarian", "member")}
MEMBER, OTHER = "a" * 32, "b" * 32
OWN = ("BEL", "CEN")
ACCOUNTS = {"CARREL_REGISTRATION": "mail", "CARREL_SMTP_HOST": "127.0.0.1"}
TODAY = dt.datetime.now(dt.UTC).date()


@dataclass
class Served:
    """A running app."""

    base: str
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="session")
def library(template: str) -> Iterator[str]:
    """Name of the database."""
    with filled("carrel_app", template) as name:
        yield name


@contextmanager
def filled(database: str, template: str) -> Iterator[str]:
    """A database with a small library, and an account a role."""
    with copied(database, template) as name:
        use(name)
        with connect() as connection:
            fill_history(connection, days=12, fault="error")  # other tests take back what failed
            hold_back(connection, "library_loan_events")
            fill(connection)
            fill_shop(connection, TODAY)
            lend(connection)
        for role, email in EMAILS.items():
            add(role, email)  # type: ignore[arg-type]
        use(NONE)
        yield name


def add(role: Role, email: str) -> None:
    """An account of a role, with what the role needs."""
    branches = OWN if role == "librarian" else ()
    key = MEMBER if role == "member" else None
    account_with_password(email, f"{role.capitalize()} Person", role, branches, key)


@cache
def hashed_password() -> str:
    """The hash of PASSWORD; to work one out takes 50 ms on purpose."""
    return hash_password(PASSWORD)


def account_with_password(
    email: str, name: str, role: Role, branches: Sequence[str] = (), key: str | None = None
) -> int:
    """Make an account whose password is PASSWORD, with the hash that others have already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "hash_password", lambda *_: hashed_password())
        return accounts.create_account(email, name, role, branches, key, PASSWORD)


def lend(connection: psycopg.Connection[Any]) -> None:
    """Loans, holds and fines of two members; the first agreed to a history 100 days ago."""
    connection.execute(
        "insert into silver.library_members (source_code, member_key, member_type,"
        " history_consent_on, _load_id) values ('sample', %s, 'adult', %s, 1),"
        " ('sample', %s, 'adult', null, 1)",
        [MEMBER, TODAY - dt.timedelta(days=100), OTHER],
    )
    connection.execute(
        "insert into silver.library_items (source_code, item_code, title_code, title, author,"
        " collection_code, item_type, branch_code, _load_id) values"
        " ('sample', 'I1', 'T1', '=1+1', 'Ada', 'audio', 'cd', 'CEN', 1),"
        " ('sample', 'I2', 'T2', 'Quiet Rooms', 'Bo', 'audio', 'cd', 'CEN', 1)"
    )
    loans = [
        ("1", MEMBER, "I1", 200, 20, 180),  # returned before consent: hidden
        ("2", MEMBER, "I2", 90, 21, 60),  # returned since: history
        ("3", MEMBER, "I1", 30, 10, None),  # overdue
        ("4", MEMBER, "I2", 2, 21, None),  # on loan
        ("5", OTHER, "I1", 5, 21, None),
    ]
    for number, member, item, lent, days, returned in loans:
        _lend(connection, number, member, item, lent, days, returned)
    connection.execute(
        "insert into silver.library_holds (source_code, hold_id, title_code, member_key,"
        " branch_code, placed_at, status, frozen, _load_id) values"
        " ('sample', 'H1', 'T2', %s, 'CEN', now()::timestamp, 'on_shelf', false, 1)",
        [MEMBER],
    )
    connection.execute(
        "insert into silver.library_fines (source_code, fine_id, member_key, branch_code, kind,"
        " amount, charged_at, _load_id) values"
        " ('sample', 'F1', %(m)s, 'CEN', 'charged', 3.50, now()::timestamp, 1),"
        " ('sample', 'F2', %(m)s, 'CEN', 'paid', 1.25, now()::timestamp, 1)",
        {"m": MEMBER},
    )


def _lend(  # noqa: PLR0917
    connection: psycopg.Connection[Any],
    number: str,
    member: str,
    item: str,
    lent: int,
    days: int,
    returned: int | None,
) -> None:
    at = dt.datetime.combine(TODAY - dt.timedelta(days=lent), dt.time(10))
    due = at.date() + dt.timedelta(days=days)
    events = [("checkout", at)]
    if returned is not None:
        events.append(
            ("return", dt.datetime.combine(TODAY - dt.timedelta(days=returned), dt.time(9)))
        )
    for kind, when in events:
        connection.execute(
            "insert into silver.library_loan_events (source_code, event_id, loan_id, kind,"
            " occurred_at, branch_code, item_code, member_key, due_on, _load_id)"
            " values ('sample', %s, %s, %s, %s, 'CEN', %s, %s, %s, 1)",
            [f"{kind}{number}", f"L{number}", kind, when, item, member, due],
        )


@pytest.fixture
def here(library: str) -> Iterator[str]:
    """This process reads the library."""
    use(library)
    store.forget()
    yield library
    store.forget()
    use(NONE)


@pytest.fixture(scope="session")
def app(library: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app, served as `carrel up` does."""
    with served_on(library, tmp_path_factory.mktemp("app"), **ACCOUNTS) as served:
        yield served


@contextmanager
def served_on(database: str, folder: Path, **more: str) -> Iterator[Served]:
    """The app on a database, with more settings; its log goes to a folder."""
    use(database)
    port, variables = free_port(), os.environ | environment() | more
    use(NONE)
    with serving(command(port), port, folder / "app.log", variables) as served:
        yield served


@contextmanager
def serving(
    words: Sequence[str], port: int, log: Path, variables: Mapping[str, str], path: str = "/health"
) -> Iterator[Served]:
    """A program that serves on a port, well by its `path`, until the end of the `with`."""
    with log.open("wb") as out:
        process = subprocess.Popen(words, cwd=ROOT, env=variables, stdout=out, stderr=out)
    served = Served(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_healthy(served, path)
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_until_healthy(served: Served, path: str = "/health", seconds: float = 300) -> None:
    """Wait until a path answers that all is well."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert served.process.poll() is None, served.log.read_text()
        try:
            if httpx.get(f"{served.base}{path}", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(served.log.read_text())


@pytest.fixture
def visitor(app: Served) -> Iterator[Callable[..., Client]]:
    """Clients of the app, signed in unless the role is None."""
    made: list[Client] = []

    def come(role: str | None = None) -> Client:
        client = Client(app.base)
        made.append(client)
        if role:
            assert client.sign_in(EMAILS[role], PASSWORD).status_code == 303
        return client

    yield come
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()
