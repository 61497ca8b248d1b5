"""The sticky proxy against what no browser does: by raw sockets, before a real web server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from deployments.ports import free_port
from deployments.proxy import Limits
from tests.deployments.test_proxy import wait_for
from warehouse.settings import ROOT

HEAD = b"Host: a\r\nCookie: carrel_session=x\r\n"
LIMITS = {"head": 0.8, "body": 1.0, "idle": 3, "answer": 3, "taken": 1, "silent": 2.5,
          "most": 14, "each": 10}  # fmt: skip


@dataclass
class Front:
    """A proxy and the one server behind it."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self, address: str = "127.0.0.1") -> socket.socket:
        """A connection from one of this machine's addresses."""
        return socket.create_connection(("127.0.0.1", self.port), 60, (address, 0))

    def say(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send parts one by one, then read to the end; what comes back in the meantime ends it."""
        with self.open() as raw:
            for part in parts:
                try:
                    raw.sendall(part)
                except OSError:
                    break
                time.sleep(pause)
            return read_all(raw)

    def wait_until_closed(self, raw: socket.socket, seconds: float = 60) -> None:
        """Wait until the proxy holds this connection no longer."""
        mine, end = raw.getsockname()[1], time.monotonic() + seconds
        while any(c.raddr and c.raddr.port == mine for c in self.held()):
            assert time.monotonic() < end
            time.sleep(0.1)

    def held(self) -> list[Any]:
        """Connections of the proxy that somebody takes from."""
        found = psutil.Process(self.process.pid).net_connections()
        return [c for c in found if c.status == psutil.CONN_ESTABLISHED]

    def seen(self) -> list[str]:
        """What the server was asked for on /echo, with a connection of its own."""
        found: list[str] = json.loads(httpx.get(f"{self.base}/seen").text)
        return found


def read_all(raw: socket.socket) -> bytes:
    """Everything until the connection ends."""
    found = b""
    try:
        while piece := raw.recv(65536):
            found += piece
    except ConnectionError:
        pass
    return found


def status(answer: bytes) -> int:
    """The status of an answer; 0 where the connection was just closed."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


@contextmanager
def fronted(**limits: float) -> Iterator[Front]:
    port = free_port(22000 + os.getpid() % 9000)
    behind = free_port(port + 1, but_not=frozenset({port}))
    backend = [sys.executable, "-m", "tests.deployments.fix_backend", str(behind), "one"]
    said = [part for name, n in limits.items() for part in ("--limit", f"{name}={n}")]
    proxy = [sys.executable, "-m", "deployments.proxy", "--port", str(port), "--to", str(behind)]
    started = [subprocess.Popen(words, cwd=ROOT) for words in (backend, [*proxy, *said])]
    try:
        wait_for(behind)
        wait_for(port)
        yield Front(port, started[1])
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with fronted(**LIMITS) as found:
        yield found


# Whoever takes his time ---------------------------------------------------------------------------


def test_a_head_that_comes_drop_by_drop_is_given_up(front: Front) -> None:
    head = b"GET /echo?slow HTTP/1.1\r\n" + HEAD + b"X: " + b"y" * 400
    answer = front.say(*(head[i : i + 4] for i in range(0, len(head), 4)), pause=0.05)
    assert status(answer) == 408
    assert "GET /echo?slow" not in front.seen()


@pytest.mark.parametrize("framing", [b"Content-Length: 4000", b"Transfer-Encoding: chunked"])
def test_a_body_that_comes_drop_by_drop_is_given_up(front: Front, framing: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\n" + HEAD + framing + b"\r\n\r\n"
    drops = [b"1\r\nz\r\n" if b"chunked" in framing else b"z"] * 60
    assert status(front.say(head, *drops, pause=0.05)) == 408


def test_who_asks_nothing_is_let_go(front: Front) -> None:
    began = time.monotonic()
    with front.open() as raw:
        assert read_all(raw) == b""
    assert time.monotonic() - began > LIMITS["idle"] - 1


def test_who_does_not_read_is_let_go(front: Front) -> None:
    with front.open() as raw:
        raw.sendall(b"GET /long?pieces=1000 HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert raw.recv(8).startswith(b"HTTP")
        front.wait_until_closed(raw)


def test_an_app_that_does_not_answer_is_given_up(front: Front) -> None:
    assert status(front.say(b"GET /slow?seconds=9 HTTP/1.1\r\n" + HEAD + b"\r\n")) == 504


# Websockets ---------------------------------------------------------------------------------------

SWITCH = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def test_a_websocket_that_is_silent_is_let_go(front: Front) -> None:
    with front.open() as raw:
        raw.sendall(b"GET /ws HTTP/1.1\r\n" + HEAD + SWITCH + b"\r\n")
        assert status(read_all(raw)) == 101


def test_a_websocket_that_speaks_stays(front: Front) -> None:
    with connect(front.base.replace("http", "ws") + "/ws") as opened:
        assert opened.recv(60) == "one"
        for word in ("a", "b", "c"):
            time.sleep(1)
            opened.send(word)
            assert opened.recv(60) == word


def test_a_switch_that_is_begun_and_not_answered_is_given_up(front: Front) -> None:
    asked = b"GET /slow?seconds=9 HTTP/1.1\r\n" + HEAD + SWITCH + b"\r\n"
    assert status(front.say(asked)) == 504


def test_a_connection_becomes_a_websocket_and_nothing_else(front: Front) -> None:
    asked = b"GET /echo HTTP/1.1\r\n" + HEAD + (
        b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
    )  # fmt: skip
    answer = front.say(asked)
    assert status(answer) == 200
    told = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert not {"Upgrade", "Http2-Settings"} & told.keys()


# Bodies -------------------------------------------------------------------------------------------


def test_who_waits_for_a_go_ahead_gets_one(front: Front) -> None:
    head = b"POST /echo HTTP/1.1\r\n" + HEAD + b"Expect: 100-continue\r\nConnection: close\r\n"
    with front.open() as raw:
        raw.sendall(head + b"Content-Length: 5\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"hello")
        answer = read_all(raw)
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["body"] == "hello"
    assert "Expect" not in told["headers"]


def test_no_other_expectation_is_met(front: Front) -> None:
    asked = b"POST /echo HTTP/1.1\r\n" + HEAD + b"Expect: a miracle\r\nContent-Length: 1\r\n\r\nx"
    assert status(front.say(asked)) == 417


def test_an_answer_may_come_before_the_body(front: Front) -> None:
    head = b"POST /early HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n"
    with front.open() as raw:
        raw.sendall(head + b"x" * 10)
        assert status(raw.recv(1000)) == 413


# What two parsers could read in two ways ----------------------------------------------------------

SMUGGLED = b"GET /echo?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SMUGGLED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
FRAMINGS = {
    "two lengths": b"Content-Length: 0\r\n" + LENGTH,
    "a list of lengths": b"Content-Length: 0, %d\r\n" % len(SMUGGLED),
    "length and chunks": LENGTH + CHUNKED,
    "chunks and length": CHUNKED + b"Content-Length: 0\r\n",
    "unknown coding": LENGTH + b"Transfer-Encoding: xchunked\r\n",
    "chunks inside": b"Transfer-Encoding: chunked, identity\r\n",
    "chunks twice": CHUNKED + CHUNKED,
    "a space before the colon": b"Transfer-Encoding : chunked\r\n",
    "a tab in the coding": b"Transfer-Encoding: \x0bchunked\r\n",
    "a folded line": b"X: y\r\n Content-Length: %d\r\n" % len(SMUGGLED),
    "a folded coding": LENGTH + b"Transfer-Encoding:\r\n chunked\r\n",
    "a bare return": b"X: y\rTransfer-Encoding: chunked\r\n",
    "a bare line end": b"X: y\nContent-Length: 0\n" + LENGTH,
    "a signed length": b"Content-Length: +%d\r\n" % len(SMUGGLED),
    "a length in hex": b"Content-Length: 0x10\r\n",
    "a zero byte": b"X: y\0\r\n",
    "a long name": b"X" * 200 + b"\xff: y\r\n",
}


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_no_request_is_smuggled_in_another(front: Front, framing: bytes) -> None:
    outer = f"POST /echo?outer{list(FRAMINGS.values()).index(framing)}"
    asked = outer.encode() + b" HTTP/1.1\r\n" + HEAD + framing + b"Connection: close\r\n\r\n"
    answer = front.say(asked + b"0\r\n\r\n" + SMUGGLED)
    assert "GET /echo?smuggled" not in front.seen()
    if framing not in (FRAMINGS["a folded line"], FRAMINGS["a bare line end"]):
        assert 400 <= status(answer) < 600, answer
        assert outer not in front.seen()


def test_a_folded_line_is_unfolded_for_the_app(front: Front) -> None:
    asked = b"GET /echo?folded HTTP/1.1\r\n" + HEAD + b"X-Fold: a\r\n  b\r\nConnection: close\r\n"
    answer = front.say(asked + b"\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]["X-Fold"] == "a b"


def test_pieces_are_written_anew(front: Front) -> None:
    """Extensions of chunks and trailers are where parsers differ; they end here."""
    asked = b"POST /echo HTTP/1.1\r\n" + HEAD + CHUNKED + b"Connection: close\r\n\r\n"
    pieces = b'3;a="b\tc"\r\nabc\r\n0\r\nX-Real-IP: 6.6.6.6\r\n\r\n'
    told = json.loads(front.say(asked + pieces).partition(b"\r\n\r\n")[2])
    assert told["body"] == "abc"
    assert "6.6.6.6" not in str(told)


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b"GET /echo HTTP/1.1\r\n" + HEAD + b"X: " + b"y" * 33_000 + b"\r\n\r\n", 431),
        (b"GET /echo HTTP/1.1\r\n" + HEAD + b"X: y\r\n" * 9000 + b"\r\n", 431),
        (b"GET /" + b"e" * 33_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 431),
        (b"GET /echo HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
        (b"TRACE /echo HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
        (b"GET /echo HTTP/1.0\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /echo\r\n\r\n", 400),
    ],
    ids=[
        "one header",
        "many headers",
        "address",
        "no host",
        "connect",
        "trace",
        "no host in 1.0",
        "http 2",
        "0.9",
    ],
)
def test_no_more_than_a_page_needs(front: Front, head: bytes, wanted: int) -> None:
    assert status(front.say(head)) == wanted


def test_headers_of_one_connection_end_with_it(front: Front) -> None:
    asked = b"GET /echo HTTP/1.1\r\n" + HEAD + (
        b"Connection: close, X-Own, X-Real-IP, Cookie\r\nX-Own: y\r\nKeep-Alive: 5\r\n\r\n"
    )  # fmt: skip
    told = json.loads(front.say(asked).partition(b"\r\n\r\n")[2])["headers"]
    assert not {"X-Own", "Keep-Alive"} & told.keys()
    assert told["X-Real-Ip"] == "127.0.0.1"
    assert told["Cookie"] == "carrel_session=x"


# How many -----------------------------------------------------------------------------------------


def test_one_address_does_not_take_every_place(front: Front) -> None:
    time.sleep(0.3)
    with ExitStack() as stack:
        for _ in range(int(LIMITS["each"])):
            stack.enter_context(front.open())
        time.sleep(0.2)
        with front.open() as raw:
            answer = read_all(raw)
        assert status(answer) == 503
        assert b"Retry-After" in answer
        with front.open("127.0.0.2") as raw:
            raw.sendall(b"GET /echo HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
            assert status(read_all(raw)) == 200


def test_who_waits_for_nothing_makes_room_for_who_asks(front: Front) -> None:
    time.sleep(0.3)
    with ExitStack() as stack:
        first = stack.enter_context(front.open("127.0.0.3"))
        time.sleep(0.1)
        for n in range(1, int(LIMITS["most"])):
            stack.enter_context(front.open(f"127.0.0.{3 + n % 2}"))
        time.sleep(0.2)
        with front.open("127.0.0.5") as raw:
            raw.sendall(b"GET /echo HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
            assert status(read_all(raw)) == 200
        first.settimeout(1)
        assert first.recv(1) == b""


@pytest.mark.parametrize("said", ["head=0", "head=x", "nothing=1"])
def test_a_limit_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"limit|convert"):
        Limits().with_([said])


# The end ------------------------------------------------------------------------------------------


def test_what_is_under_way_is_finished_before_the_end() -> None:
    with fronted() as front, front.open() as idle, front.open() as busy:
        busy.sendall(b"GET /slow?seconds=1.5 HTTP/1.1\r\n" + HEAD + b"\r\n")
        with connect(front.base.replace("http", "ws") + "/ws") as opened:
            assert opened.recv(60) == "one"
            time.sleep(0.3)
            front.process.send_signal(signal.SIGTERM)
            assert read_all(idle) == b""
            with pytest.raises(ConnectionClosed):
                opened.recv(60)
            with pytest.raises(OSError, match="refused"):
                front.open()
            answer = read_all(busy)
        assert status(answer) == 200
        assert b"connection: close" in answer.lower()
        assert answer.endswith(b"at last")
        assert front.process.wait(20) == 0
