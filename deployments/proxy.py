"""The sticky proxy in front of several processes of the app.

    python -m deployments.proxy --port 5006 --to 5101 --to 5102

A person's pages live in one process, so what carries one session's cookie goes to one process as
long as that lives. When a process dies, its people are led to another: their pages reload there,
since sessions are kept in PostgreSQL. Requests are read whole and written anew (`forwarding`), so
what a browser says of its own address is dropped; after the change to a websocket bytes pass as
they are. Nobody holds a connection without end: `Limits` says how long each part may take.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import resource
import signal
import ssl
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h11

from bi_app.auth import exposure
from bi_app.auth.origin import is_trusted
from deployments.forwarding import HEAD_BYTES, check, passed_on, person
from deployments.ports import LOOPBACK

log = logging.getLogger(__name__)
KNOWN = 10_000  # people whose process is remembered
PIECE = 64 * 1024
DEAD = 1.0  # seconds until a process that did not answer is asked again
SPARE_FILES = 64
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Gone(Exception):
    """None of the processes answers."""


class Left(Exception):
    """The browser is gone, or takes nothing any more."""


class Slow(Exception):
    """The browser did not send what it began."""


@dataclass(frozen=True)
class Limits:
    """How long the proxy waits, in seconds, and how many connections it holds.

    `silent` is for websockets: the app pings each of them every 37 s, which a browser answers.
    """

    idle: float = 75  # from one request to the next
    head: float = 15  # a request's head, from its first byte to its last
    body: float = 120  # a request's body, from its first byte to its last
    connect: float = 5
    answer: float = 120  # the next piece of the app's answer
    taken: float = 60  # until a browser has taken what was sent
    silent: float = 150
    leave: float = 12  # until what is under way is given up, after SIGTERM
    most: float = 4000  # connections
    each: float = 1000  # connections of one address; of a declared proxy, `most`

    def with_(self, said: list[str]) -> Limits:
        """These limits with others of the form NAME=NUMBER.

        Raises:
            ValueError: there is no such limit, or it is no number above zero.
        """
        given = {name: float(number) for name, _, number in (s.partition("=") for s in said)}
        if unknown := given.keys() - vars(self).keys():
            raise ValueError(f"{unknown.pop()} is no limit: {', '.join(vars(self))}")
        if any(not number > 0 for number in given.values()):
            raise ValueError("a limit is above zero")
        return replace(self, **given)


@dataclass
class Processes:
    """Which process serves whom; `ports` are those of the app's processes."""

    ports: list[int]
    chosen: OrderedDict[str, int] = field(default_factory=OrderedDict)
    dead_until: dict[int, float] = field(default_factory=dict)

    def order(self, person: str, lost: int | None = None) -> list[int]:
        """Every port, the one to be asked first in front: it is remembered, or else drawn.

        `lost` is one that ended as it was asked: it comes last, as a dying process may still take
        connections.

        It is drawn by rendezvous hashing (Thaler and Ravishankar, 1998), so that each person has
        an order of ports of his own, and the people of a dead process spread over the others.
        """

        def rank(port: int) -> tuple[bool, bool, bool, bytes]:
            drawn = hashlib.sha256(f"{port}|{person}".encode()).digest()
            dead = self.dead_until.get(port, 0) > time.monotonic()
            return port == lost, dead, port != self.chosen.get(person), drawn

        return sorted(self.ports, key=rank)

    def serves(self, person: str, port: int) -> None:
        """Remember who is served where; the longest unseen are forgotten."""
        self.chosen[person] = port
        self.chosen.move_to_end(person)
        if len(self.chosen) > KNOWN:
            self.chosen.popitem(last=False)

    async def connect(
        self, person: str, patience: float = Limits.connect, lost: int | None = None
    ) -> Streams:
        """A connection to the process that serves a person; see `order` for `lost`.

        Raises:
            Gone: none of them answers.
        """
        for port in self.order(person, lost):
            try:
                async with asyncio.timeout(patience):
                    streams = await asyncio.open_connection(LOOPBACK, port)
            except (OSError, TimeoutError):
                self.dead_until[port] = time.monotonic() + DEAD
            else:
                self.serves(person, port)
                return streams
        raise Gone


@dataclass
class Side:
    """One side of an exchange: its protocol state and its streams."""

    state: h11.Connection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def more(self) -> None:
        """Read on."""
        self.state.receive_data(await self.reader.read(PIECE))

    async def event(self) -> Any:
        """The next event of the protocol."""
        while (event := self.state.next_event()) is h11.NEED_DATA:
            await self.more()
        return event

    async def send(self, event: Any) -> None:
        """Write an event."""
        if data := self.state.send(event):
            self.writer.write(data)
            await self.writer.drain()

    @property
    def peer(self) -> str:
        """Who opened the connection: the browser, or a proxy before us."""
        return str((self.writer.get_extra_info("peername") or ("unknown",))[0])

    def close(self, *, at_once: bool = False) -> None:
        """Close; `at_once` throws away what nobody takes."""
        with suppress(OSError):
            self.writer.transport.abort() if at_once else self.writer.close()


@dataclass
class Door:
    """Whom the proxy serves at this moment."""

    processes: Processes
    limits: Limits = field(default_factory=Limits)
    served: Counter[str] = field(default_factory=Counter)
    waiting: OrderedDict[int, Side] = field(default_factory=OrderedDict)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def place(self, browser: Side) -> Iterator[bool]:
        """Whether there is a place for one more connection, for as long as the `with` lasts."""
        peer = browser.peer
        most = self.limits.most if is_trusted(peer) else self.limits.each
        free = self.served[peer] < most and (
            self.served.total() < self.limits.most or self._make_room()
        )
        self.served[peer] += 1
        try:
            yield free
        finally:
            self.served[peer] -= 1
            if not self.served[peer]:
                del self.served[peer]

    def _make_room(self) -> bool:
        """Close the connection that has waited longest for its next request, if there is one."""
        if self.waiting:
            self.waiting.popitem(last=False)[1].close()
            return True
        return False

    @contextmanager
    def between_requests(self, browser: Side) -> Iterator[None]:
        """Note a connection that may be closed without harm."""
        self.waiting[id(browser)] = browser
        try:
            yield
        finally:
            self.waiting.pop(id(browser), None)

    async def leave(self) -> None:
        """Finish what is under way; connections that ask nothing are closed, websockets too."""
        self.leaving.set()
        for browser in list(self.waiting.values()):
            browser.close()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=self.limits.leave)


async def serve(door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection of a browser: its requests one after another."""
    browser = Side(h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES), reader, writer)
    task = asyncio.current_task()
    assert task
    door.tasks.add(task)
    stuck = False
    try:
        with door.place(browser) as free:
            if free:
                await requests(door, browser)
            else:
                await refuse(browser, 503)
    except Left:
        stuck = True
    finally:
        door.tasks.discard(task)
        browser.close(at_once=stuck)


async def requests(door: Door, browser: Side) -> None:
    """One request after another; what goes wrong is said to the browser, and ends it.

    Raises:
        Left: there is nobody to say it to.
    """
    try:
        while await exchange(door, browser) and not door.leaving.is_set():
            browser.state.start_next_cycle()
    except h11.RemoteProtocolError as wrong:
        await refuse(browser, wrong.error_status_hint)
    except Slow:
        await refuse(browser, 408)
    except Gone:
        await refuse(browser, 503)
    except TimeoutError:
        await refuse(browser, 504)
    except (OSError, h11.LocalProtocolError):  # one of the two is gone
        await refuse(browser, 502)


async def exchange(door: Door, browser: Side) -> bool:
    """One request and its answer; whether another may follow on this connection."""
    request = await head(door, browser)
    if not isinstance(request, h11.Request):
        return False
    check(request)
    try:
        return await asked(door, request, browser)
    except OSError as lost:
        if isinstance(lost, TimeoutError) or not may_ask_again(request, browser):
            raise
        died = door.processes.chosen.get(person(request, browser.peer))
        return await asked(door, request, browser, died)


async def head(door: Door, browser: Side) -> Any:
    """The next request's head; None when none comes.

    Raises:
        Slow: it was begun and not ended.
    """
    event = browser.state.next_event()
    if event is h11.NEED_DATA:
        try:
            async with asyncio.timeout(door.limits.idle):
                with door.between_requests(browser):
                    await browser.more()
        except (OSError, TimeoutError):
            return None
        try:
            async with asyncio.timeout(door.limits.head):
                event = await browser.event()
        except TimeoutError:
            raise Slow from None
    return event


async def asked(door: Door, request: h11.Request, browser: Side, lost: int | None = None) -> bool:
    """Ask the process that serves the person; whether another request may follow."""
    whose = person(request, browser.peer)
    reader, writer = await door.processes.connect(whose, door.limits.connect, lost)
    app = Side(h11.Connection(h11.CLIENT), reader, writer)
    sealed = bool(browser.writer.get_extra_info("ssl_object"))
    try:
        await app.send(passed_on(request, browser.peer, sealed=sealed))
        answered = await body_and_answer(door, browser, app)
        if answered is h11.SWITCHED_PROTOCOL:
            await both_ways(door, browser, app)
        return answered is h11.DONE and browser.state.states == {
            h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE,
        }  # fmt: skip
    finally:
        app.close(at_once=True)


def may_ask_again(request: h11.Request, browser: Side) -> bool:
    """Whether nothing came back yet and asking twice does no harm (RFC 9110, 9.2.2)."""
    bodiless = not {b"content-length", b"transfer-encoding"} & {n for n, _ in request.headers}
    unanswered = browser.state.our_state is h11.SEND_RESPONSE
    return bodiless and unanswered and request.method in (b"GET", b"HEAD")


async def body_and_answer(door: Door, browser: Side, app: Side) -> Any:
    """Pass on the body and, at the same time, the answer: it may come before the body's end."""
    sending = asyncio.create_task(body(door, browser, app))
    answering = asyncio.create_task(answer(door, app, browser))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            await sending
        return await answering
    finally:
        for task in (sending, answering):
            task.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)


async def body(door: Door, browser: Side, app: Side) -> None:
    """Pass on what follows the head, to its end.

    Raises:
        Slow: it did not come to its end in time.
        Left: the browser left before.
    """
    if browser.state.their_state is not h11.SEND_BODY:  # it has been read: this is a second try
        return await app.send(h11.EndOfMessage())
    try:
        async with asyncio.timeout(door.limits.body):
            if browser.state.they_are_waiting_for_100_continue:
                await browser.send(h11.InformationalResponse(status_code=100, headers=[]))
            while not isinstance(event := await piece(browser), h11.EndOfMessage):
                await app.send(event)
    except TimeoutError:
        raise Slow from None
    except OSError:
        return None  # the process takes no more of it: it may have answered already
    with suppress(OSError):
        await app.send(h11.EndOfMessage())  # without trailers: nobody checks those
    return None


async def piece(browser: Side) -> Any:
    """The next piece of a body.

    Raises:
        Left: the browser left.
    """
    try:
        event = await browser.event()
    except ConnectionError:
        raise Left from None
    if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
        raise Left
    return event


async def answer(door: Door, app: Side, browser: Side) -> Any:
    """Pass the app's answer on; the state of its connection afterwards."""
    while True:
        try:
            async with asyncio.timeout(door.limits.answer):
                event = await app.event()
        except h11.RemoteProtocolError as wrong:
            raise OSError("the process ended amid its answer") from wrong
        if isinstance(event, h11.Response):
            kept = [(n, v) for n, v in event.headers.raw_items() if n.lower() != b"connection"]
            if door.leaving.is_set():
                kept.append((b"Connection", b"close"))
            event = h11.Response(status_code=event.status_code, headers=kept, reason=event.reason)
        await give(door, browser, event)
        if app.state.their_state is h11.SWITCHED_PROTOCOL:
            return h11.SWITCHED_PROTOCOL
        if isinstance(event, h11.EndOfMessage):
            return h11.DONE


async def give(door: Door, browser: Side, event: Any) -> None:
    """Send to a browser.

    Raises:
        Left: it does not take it.
    """
    try:
        async with asyncio.timeout(door.limits.taken):
            await browser.send(event)
    except OSError:  # a TimeoutError is one
        raise Left from None


async def both_ways(door: Door, browser: Side, app: Side) -> None:
    """Pass a websocket's bytes on until one side closes, or the browser is silent."""
    there = asyncio.create_task(one_way(browser, app, door.limits.taken, door.limits.silent))
    back = asyncio.create_task(one_way(app, browser, door.limits.taken, None))
    leaving = asyncio.create_task(door.leaving.wait())
    tasks = (there, back, leaving)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            return
        for way in (there, back):
            if way.done() and isinstance(way.exception(), TimeoutError):
                raise Left
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def one_way(sender: Side, receiver: Side, taken: float, silent: float | None) -> None:
    """Pass bytes on until the sender closes.

    Raises:
        TimeoutError: the sender is silent, or the receiver takes nothing.
    """
    data = sender.state.trailing_data[0]
    while True:
        if not data:
            async with asyncio.timeout(silent):
                data = await sender.reader.read(PIECE)
        if not data:
            return
        receiver.writer.write(data)
        async with asyncio.timeout(taken):
            await receiver.writer.drain()
        data = b""


async def refuse(browser: Side, status: int) -> None:
    """Say in a few words that it did not work, if it can still be said."""
    words = {
        408: b"The request did not come to its end.\n",
        503: b"Carrel is starting, or very busy. Please try again in a moment.\n",
    }
    text = words.get(status, b"This did not work.\n")
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(text))),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
        *([("Retry-After", "5")] if status == 503 else []),
    ]
    with suppress(OSError, h11.LocalProtocolError):
        async with asyncio.timeout(1):
            await browser.send(h11.Response(status_code=status, headers=headers))
            await browser.send(h11.Data(data=text))
            await browser.send(h11.EndOfMessage())
            if browser.writer.can_write_eof():
                browser.writer.write_eof()
            for _ in range(64):  # else what is still on its way has the answer thrown away
                if not await browser.reader.read(PIECE):
                    return


def with_files(limits: Limits) -> Limits:
    """The limits as far as this process may open files: two for each connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(limits.most) * 2 + SPARE_FILES
    there = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < there:
        resource.setrlimit(resource.RLIMIT_NOFILE, (there, hard))
    return replace(limits, most=min(limits.most, (max(soft, there) - SPARE_FILES) // 2))


async def run(
    address: str,
    port: int,
    ports: list[int],
    context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> None:
    """Listen until SIGTERM; what is under way is finished first."""
    door = Door(Processes(ports), with_files(limits or Limits()))
    patience: dict[str, Any] = (
        {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 5.0} if context else {}
    )
    server = await asyncio.start_server(
        lambda reader, writer: serve(door, reader, writer), address, port, ssl=context, **patience
    )
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()
    server.close()
    await door.leave()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ssl-certfile", type=Path)
    parser.add_argument("--ssl-keyfile", type=Path)
    parser.add_argument("--to", type=int, action="append", required=True, metavar="PORT")
    names = ", ".join(vars(Limits()))
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=NUMBER", help=f"one of {names}"
    )
    asked = parser.parse_args()
    try:
        limits = Limits().with_(asked.limit)
    except ValueError as wrong:
        parser.error(str(wrong))
    files = asked.ssl_certfile, asked.ssl_keyfile
    context = exposure.context(*files) if all(files) else None
    with suppress(KeyboardInterrupt):
        asyncio.run(run(asked.address, asked.port, asked.to, context, limits))


if __name__ == "__main__":
    main()
