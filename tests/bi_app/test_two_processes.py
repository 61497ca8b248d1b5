"""Two processes of the app behind the sticky proxy: one is killed, and people go on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
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


@contextmanager
def asking(clients: list[Client]) -> Iterator[list[int]]:
    """Everybody asks again and again for a file, for the length of the `with`; 0: no answer."""
    over, found = threading.Event(), list[int]()

    def ask(client: Client) -> None:
        while not over.is_set():
            try:
                found.append(client.http.get("/download/overview/branches.csv").status_code)
            except httpx.TransportError:
                found.append(0)

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(1)
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def test_one_is_killed_and_people_go_on(pair: tuple[Served, list[Served]]) -> None:
    front, (first, second) = pair
    people = []
    while len(people) < MOST and not (pages(first) and pages(second)):
        people.append(come(front))
    assert all(works(opened) for _, opened in people)
    lost = pages(first)
    with asking([client for client, _ in people]) as found:
        first.process.kill()
        first.process.wait()
        time.sleep(2)
    assert set(found) <= {200, 0}, "who asks is led to the other"
    assert found.count(0) <= len(people), "at most the answer that was half sent is lost"
    assert found.count(200) > 3 * len(people)

    still = [works(opened) for _, opened in people]
    assert still.count(False) == lost > 0
    for client, opened in people:
        client.http.get("/overview").raise_for_status()  # nobody signs in again
        again = client.socket("/overview")
        again.pull()
        assert works(again)
        for each in (opened, again, client):
            each.close()
