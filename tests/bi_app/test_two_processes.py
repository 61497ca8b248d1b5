"""Two processes of the app behind the sticky proxy: one is killed, and people go on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from bi_app.serve import command, environment
from tests.bi_app.client import Client, Socket
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served, wait_until_healthy
from tests.fix_warehouse import NONE, use
from tests.ports import free_port
from warehouse.settings import ROOT, child_environment

MOST = 16  # people who come until both processes have one


@pytest.fixture
def pair(library: str, tmp_path: Path) -> Iterator[tuple[Served, list[Served]]]:
    """The proxy, and the two processes behind it."""
    use(library)
    public, *ports = free_port(), free_port(), free_port()
    variables = child_environment() | environment()
    to = [part for p in ports for part in ("--to", str(p))]
    proxy = [sys.executable, "-m", "deployments.proxy", "--port", str(public), *to]
    commands = [proxy, *(command(p, public=public) for p in ports)]
    started = []
    for port, words in zip((public, *ports), commands, strict=True):
        log = tmp_path / f"{port}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(words, cwd=ROOT, env=variables, stdout=out, stderr=out)
        started.append(Served(f"http://127.0.0.1:{port}", process, log))
    use(NONE)
    try:
        for served in started[1:]:
            wait_until_healthy(served)
        wait_until_healthy(started[0])
        yield started[0], started[1:]
    finally:
        for served in started:
            served.process.kill()
            served.process.wait()


def come(front: Served) -> tuple[Client, Socket]:
    """Somebody signs in and opens the overview."""
    client = Client(front.base)
    assert client.sign_in(EMAILS["librarian"], PASSWORD).status_code == 303
    opened = client.socket("/overview")
    opened.pull()
    return client, opened


def works(opened: Socket) -> bool:
    """Whether the page answers a choice."""
    try:
        return bool(opened.choose(opened.controls(), period="30d"))
    except ConnectionClosed:
        return False


def pages(served: Served) -> int:
    """Connections that a process holds."""
    held = psutil.Process(served.process.pid).net_connections()
    port = int(served.base.rsplit(":", 1)[1])
    return sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in held)


def test_one_is_killed_and_people_go_on(pair: tuple[Served, list[Served]]) -> None:
    front, (first, second) = pair
    people = []
    while len(people) < MOST and not (pages(first) and pages(second)):
        people.append(come(front))
    assert all(works(opened) for _, opened in people)
    lost = pages(first)
    first.process.kill()
    first.process.wait()

    still = [works(opened) for _, opened in people]
    assert still.count(False) == lost > 0
    for client, opened in people:
        client.http.get("/overview").raise_for_status()  # nobody signs in again
        again = client.socket("/overview")
        again.pull()
        assert works(again)
        for each in (opened, again, client):
            each.close()
