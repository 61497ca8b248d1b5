"""The ends of processes: PostgreSQL is killed, the app and the API are told to end (SIGTERM).

What is under way is held up for real: a lock on the table that a request reads.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed

from deployments.postgres import Server
from tests.bi_app import fix_api
from tests.bi_app.client import Client, Socket
from tests.bi_app.fix_api import PREFIX, UNBOUND
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served, filled, served_on
from tests.fix_warehouse import NONE, use
from warehouse.database import connect

HELD = "gold.library_titles"
Desk = tuple[Served, Served]


@pytest.fixture(scope="module")
def own(template: str) -> Iterator[str]:
    """A library that nobody else is connected to."""
    with filled("carrel_ending", template) as name:
        yield name


@pytest.fixture
def desk(own: str, tmp_path: Path) -> Iterator[Desk]:
    """The app and the API on it."""
    with served_on(own, tmp_path) as app, fix_api.serving(own, tmp_path, **UNBOUND) as api:
        use(own)
        yield app, api
    use(NONE)


@contextmanager
def locked(table: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A table that nobody can read until the `with` ends."""
    with connect() as connection:
        connection.execute(f"lock table {table} in access exclusive mode".encode())
        yield connection


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def waiting(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    """How many wait for a lock of this database."""
    row = connection.execute(
        "select count(*) from pg_locks where not granted and database ="
        " (select oid from pg_database where datname = current_database())"
    ).fetchone()
    return int(str(row[0])) if row else 0


def refuses(base: str) -> bool:
    try:
        httpx.get(f"{base}/live", timeout=5)
    except httpx.ConnectError:
        return True
    return False


def end_of(page: Socket) -> int | None:
    """The code that a websocket is closed with, after whatever comes before."""
    try:
        while True:
            page.receive(60)
    except ConnectionClosed as told:
        return told.rcvd.code if told.rcvd else None


def test_who_ends_finishes_what_is_under_way_and_tells_the_pages(desk: Desk) -> None:
    app, api = desk
    person = Client(app.base)
    assert person.sign_in(EMAILS["admin"], PASSWORD).status_code == 303
    page = person.socket("/quality")
    page.pull()
    token = fix_api.sign_in(api, "admin").json()["access_token"]
    head = {"Authorization": f"Bearer {token}"}
    asked: list[Callable[[], httpx.Response]] = [
        lambda: person.http.get(f"/download/explore/rows.csv?table={HELD}", timeout=60),
        lambda: httpx.get(f"{api.base}{PREFIX}/datasets/{HELD}/rows", headers=head, timeout=60),
    ]
    with ThreadPoolExecutor(2) as pool:
        with locked(HELD) as lock:
            answers = [pool.submit(one) for one in asked]
            until(lambda: waiting(lock) >= 2)
            for served in desk:
                served.process.send_signal(signal.SIGTERM)
            assert end_of(page) == 1001
            until(lambda: refuses(app.base) and refuses(api.base))
            assert all(served.process.poll() is None for served in desk)
            assert not any(answer.done() for answer in answers)
        found = [answer.result(60) for answer in answers]
    assert [a.status_code for a in found] == [200, 200]
    assert found[0].content.count(b"\n") > 1
    assert len(found[1].json()["items"]) > 0
    assert [served.process.wait(30) for served in desk] == [0, 0]
    page.close()
    person.close()


@contextmanager
def killed(postgres: Server) -> Iterator[None]:
    """PostgreSQL ends as on a failing machine, and is back, on its port, after the `with`."""
    port = postgres.running_port()
    assert port
    main = psutil.Process(int(postgres._pid_file()[0]))
    family = [main, *main.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=30)
    try:
        yield
    finally:
        postgres.prepare()
        postgres._start(port)
        postgres.wait(port)


def test_a_killed_database_is_told_and_come_back_from(desk: Desk, postgres: Server) -> None:
    app, api = desk
    person = Client(app.base)
    assert person.sign_in(EMAILS["librarian"], PASSWORD).status_code == 303
    token = fix_api.sign_in(api, "librarian").json()["access_token"]
    program = httpx.Client(base_url=api.base, headers={"Authorization": f"Bearer {token}"})
    whole = {"app": "ok", "database": "ok"}
    assert whole.items() <= httpx.get(f"{app.base}/health").json().items()
    with killed(postgres):
        time.sleep(1.1)  # who was looked up a second ago is known that long
        for base, path, status in (
            (app.base, "/live", 200), (app.base, "/ready", 503), (app.base, "/health", 503),
            (api.base, "/live", 200), (api.base, "/ready", 503), (api.base, "/health", 503),
        ):  # fmt: skip
            assert (path, httpx.get(base + path, timeout=60).status_code) == (path, status)
        assert httpx.get(f"{app.base}/health").json()["database"] == "away"
        assert person.http.get("/overview").status_code == 503
        assert program.get(f"{PREFIX}/measures/overview.figures").status_code == 503
        assert person.http.get("/download/overview/daily.csv").status_code >= 500
    until(lambda: httpx.get(f"{app.base}/health", timeout=30).status_code == 200)
    until(lambda: httpx.get(f"{api.base}/health", timeout=30).status_code == 200)
    assert person.http.get("/overview").status_code == 200  # nobody signs in again
    assert program.get(f"{PREFIX}/measures/overview.figures").status_code == 200
    runs = program.get(f"{PREFIX}/measures/pipelines.pipelines").json()["rows"]
    assert runs, "the last run of each pipeline"
    assert [served.process.poll() for served in desk] == [None, None]
    program.close()
    person.close()
