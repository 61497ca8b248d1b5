"""The sticky proxy before two real web servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from deployments.ports import free_port, is_free
from deployments.proxy import KNOWN, Processes
from warehouse.settings import ROOT

NAMES = ("one", "two")


@dataclass
class Front:
    base: str
    servers: dict[str, subprocess.Popen[bytes]]
    ports: dict[str, int]

    def start(self, name: str) -> None:
        module = "tests.deployments.fix_backend"
        command = [sys.executable, "-m", module, str(self.ports[name]), name]
        self.servers[name] = subprocess.Popen(command, cwd=ROOT)
        wait_for(self.ports[name])

    def kill(self, name: str) -> None:
        self.servers[name].kill()
        self.servers[name].wait()


def wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while is_free(port):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def started() -> Iterator[Front]:
    taken: set[int] = set()
    for _ in range(3):
        taken.add(free_port(21000 + os.getpid() % 9000, but_not=frozenset(taken)))
    port, *behind = taken
    front = Front(f"http://127.0.0.1:{port}", {}, dict(zip(NAMES, behind, strict=True)))
    to = [part for p in behind for part in ("--to", str(p))]
    command = [sys.executable, "-m", "deployments.proxy", "--port", str(port), *to]
    proxy = subprocess.Popen(command, cwd=ROOT)
    try:
        for name in NAMES:
            front.start(name)
        wait_for(port)
        yield front
    finally:
        for process in (proxy, *front.servers.values()):
            process.kill()
            process.wait()


@pytest.fixture
def front(started: Front) -> Iterator[Front]:
    yield started
    for name, server in list(started.servers.items()):
        if server.poll() is not None:
            started.start(name)
    time.sleep(1.1)  # a server that was dead is asked again after a second


def ask(front: Front, person: str, **options: object) -> dict[str, object]:
    cookies = {"Cookie": f"theme=dark; carrel_session={person}"}
    answer = httpx.get(f"{front.base}/echo", headers=cookies, timeout=10, **options)  # type: ignore[arg-type]
    answer.raise_for_status()
    return dict(answer.json())


def test_a_person_stays_with_one_server_and_people_spread(front: Front) -> None:
    first = {f"p{n}": ask(front, f"p{n}")["name"] for n in range(24)}
    assert set(first.values()) == set(NAMES)
    assert {p: ask(front, p)["name"] for p in first} == first


def test_who_was_moved_stays_moved_when_the_server_is_back(front: Front) -> None:
    people = [f"m{n}" for n in range(12)]
    theirs = {p: ask(front, p)["name"] for p in people}
    front.kill("one")
    assert {ask(front, p)["name"] for p in people} == {"two"}
    front.start("one")
    time.sleep(1.1)
    assert {ask(front, p)["name"] for p in people} == {"two"}
    assert "one" in theirs.values()
    assert "one" in {ask(front, f"n{n}")["name"] for n in range(24)}


def died(front: Front) -> None:
    """Wait until one of the servers is gone, and see that the other is not."""
    end = time.monotonic() + 10
    while all(server.poll() is None for server in front.servers.values()):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert [s.poll() for s in front.servers.values()].count(None) == 1


def test_what_does_no_harm_is_asked_of_another_when_the_first_dies_of_it(front: Front) -> None:
    assert httpx.post(f"{front.base}/fatal", content=b"once").status_code == 502
    died(front)
    last = httpx.get(f"{front.base}/fatal").status_code  # the last one dies of it
    assert last in (502, 503)
    assert httpx.get(f"{front.base}/echo").status_code == 503


def test_none_left_is_said_and_mends_itself(front: Front) -> None:
    for name in NAMES:
        front.kill(name)
    answer = httpx.get(f"{front.base}/echo")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain")
    front.start("two")
    time.sleep(1.1)
    assert ask(front, "somebody")["name"] == "two"


def test_the_app_hears_of_the_browser_from_the_proxy_alone(front: Front) -> None:
    forged = {
        "X-Real-IP": "6.6.6.6",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Scheme": "https",
        "Forwarded": "for=6.6.6.6",
        "X-Kept": "yes",
    }
    said = httpx.get(f"{front.base}/echo", headers=forged).json()["headers"]
    assert said["X-Real-Ip"] == "127.0.0.1"
    assert said["X-Scheme"] == "http"
    assert said["X-Kept"] == "yes"
    assert "6.6.6.6" not in str(said)


def test_a_connection_serves_many_requests_with_bodies(front: Front) -> None:
    with httpx.Client(base_url=front.base) as client:
        for size in (0, 1, 300_000):
            assert len(client.post("/echo", content=b"y" * size).json()["body"]) == size
        pieces = (b"z" * 1000 for _ in range(50))
        assert len(client.post("/echo", content=pieces).json()["body"]) == 50_000
        head = client.head("/echo")
        assert (head.headers["content-length"], head.content) == ("12", b"")


def test_a_long_answer_comes_whole(front: Front) -> None:
    assert len(httpx.get(f"{front.base}/long?pieces=200", timeout=30).content) == 200 * 65536


def test_a_websocket_passes_both_ways_and_ends_with_its_server(front: Front) -> None:
    url = front.base.replace("http", "ws") + "/ws"
    with connect(url, max_size=None, compression=None) as opened:
        name = str(opened.recv(10))
        for message in ("hello", b"\x00\xff" * 500_000):
            opened.send(message)
            assert opened.recv(20) == message
        front.kill(name)
        with pytest.raises(ConnectionClosed):
            opened.recv(10)
    with connect(url) as opened:
        assert opened.recv(10) != name


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
        b"0\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01 not http at all\r\n\r\n",
    ],
    ids=["two lengths", "length and chunks", "too long a head", "two hosts", "not http"],
)
def test_what_two_parsers_could_read_in_two_ways_is_refused(front: Front, sent: bytes) -> None:
    host, port = front.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(sent)
        assert raw.recv(1000).split(b" ")[1].startswith(b"4")
    assert ask(front, "next one")["name"] in NAMES


def test_the_longest_unseen_are_forgotten() -> None:
    processes = Processes([1, 2])
    for number in range(KNOWN + 5):
        processes.serves(str(number), 1)
    assert len(processes.chosen) == KNOWN
    assert "0" not in processes.chosen
    assert str(KNOWN + 4) in processes.chosen


def test_one_that_ended_as_it_was_asked_comes_last_even_if_it_served_the_person() -> None:
    processes = Processes([1, 2, 3])
    for port in processes.ports:
        processes.serves("ann", port)
        assert processes.order("ann")[0] == port
        assert processes.order("ann", lost=port)[-1] == port
    assert sorted(processes.order("ann", lost=2)) == [1, 2, 3]
