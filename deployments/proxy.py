"""The sticky proxy in front of several processes of the app.

    python -m deployments.proxy --port 5006 --to 5101 --to 5102

A person's pages live in one process, so what carries one session's cookie goes to one process as
long as that lives. When a process dies, its people are led to another: their pages reload there,
since sessions are kept in PostgreSQL. Requests are read whole and written anew (h11), so what a
browser says of its own address is dropped; after the change to a websocket bytes pass as they are.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import ssl
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

import h11

from bi_app.auth import exposure
from bi_app.auth.origin import real_address, real_scheme
from deployments.ports import LOOPBACK

log = logging.getLogger(__name__)
COOKIE = "carrel_session"
KNOWN = 10_000  # people whose process is remembered
PIECE = 64 * 1024
IDLE, ANSWER, DEAD = 75.0, 120.0, 1.0  # seconds
OURS = {b"connection", b"forwarded", b"x-real-ip", b"x-scheme"}
Headers = list[tuple[bytes, bytes]]


class Gone(Exception):
    """None of the processes answers."""


@dataclass
class Processes:
    """Which process serves whom; `ports` are those of the app's processes."""

    ports: list[int]
    chosen: OrderedDict[str, int] = field(default_factory=OrderedDict)
    dead_until: dict[int, float] = field(default_factory=dict)

    def order(self, person: str) -> list[int]:
        """Every port, the one to be asked first in front: it is remembered, or else drawn.

        It is drawn by rendezvous hashing (Thaler and Ravishankar, 1998), so that each person has
        an order of ports of his own, and the people of a dead process spread over the others.
        """

        def rank(port: int) -> tuple[bool, bool, bytes]:
            drawn = hashlib.sha256(f"{port}|{person}".encode()).digest()
            dead = self.dead_until.get(port, 0) > time.monotonic()
            return dead, port != self.chosen.get(person), drawn

        return sorted(self.ports, key=rank)

    def serves(self, person: str, port: int) -> None:
        """Remember who is served where; the longest unseen are forgotten."""
        self.chosen[person] = port
        self.chosen.move_to_end(person)
        if len(self.chosen) > KNOWN:
            self.chosen.popitem(last=False)

    async def connect(self, person: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the process that serves a person.

        Raises:
            Gone: none of them answers.
        """
        for port in self.order(person):
            try:
                streams = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
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

    async def event(self, patience: float = ANSWER) -> Any:
        """The next event of the protocol; nothing within `patience` seconds ends the exchange."""
        while (event := self.state.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(patience):
                self.state.receive_data(await self.reader.read(PIECE))
        return event

    async def send(self, event: Any) -> None:
        """Write an event."""
        if data := self.state.send(event):
            self.writer.write(data)
            await self.writer.drain()


async def serve(
    processes: Processes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one connection of a browser: its requests one after another."""
    browser = Side(h11.Connection(h11.SERVER), reader, writer)
    try:
        while await exchange(processes, browser):
            browser.state.start_next_cycle()
    except h11.RemoteProtocolError as wrong:
        await refuse(browser, wrong.error_status_hint)
    except Gone:
        await refuse(browser, 503)
    except TimeoutError:
        await refuse(browser, 504)
    except (OSError, h11.LocalProtocolError):  # one of the two is gone
        await refuse(browser, 502)
    finally:
        with suppress(OSError):
            writer.close()


async def exchange(processes: Processes, browser: Side) -> bool:
    """One request and its answer; whether another may follow on this connection."""
    try:
        request = await browser.event(IDLE)
    except TimeoutError:
        return False
    if not isinstance(request, h11.Request):
        return False
    try:
        return await asked(processes, request, browser)
    except OSError:
        if not may_ask_again(request, browser):
            raise
        return await asked(processes, request, browser)  # the process died as it was asked


async def asked(processes: Processes, request: h11.Request, browser: Side) -> bool:
    """Ask the process that serves the person; whether another request may follow."""
    reader, writer = await processes.connect(person(request, browser))
    try:
        app = Side(h11.Connection(h11.CLIENT), reader, writer)
        await app.send(passed_on(request, browser))
        await body(browser, app)
        answered = await answer(app, browser)
        if answered is h11.SWITCHED_PROTOCOL:
            await both_ways(browser, app)
        return answered is h11.DONE and browser.state.our_state is h11.DONE
    finally:
        with suppress(OSError):
            writer.close()


def may_ask_again(request: h11.Request, browser: Side) -> bool:
    """Whether nothing came back yet and asking twice does no harm (RFC 9110, 9.2.2)."""
    bodiless = not {b"content-length", b"transfer-encoding"} & {n for n, _ in request.headers}
    unanswered = browser.state.our_state is h11.SEND_RESPONSE
    return bodiless and unanswered and request.method in (b"GET", b"HEAD")


def person(request: h11.Request, browser: Side) -> str:
    """Whose request it is: the session's cookie, or else the address."""
    for name, value in request.headers:
        if name == b"cookie":
            with suppress(CookieError):
                if found := SimpleCookie(value.decode("latin-1")).get(COOKIE):
                    return hashlib.sha256(found.value.encode()).hexdigest()
    return address(request, browser)


def peer(browser: Side) -> str:
    """Who opened the connection: the browser, or a proxy before us."""
    return str((browser.writer.get_extra_info("peername") or ("unknown",))[0])


def address(request: h11.Request, browser: Side) -> str:
    """The browser's address, as a declared proxy before us says if there is one."""
    return real_address(peer(browser), told(request))


def told(request: h11.Request) -> dict[str, str]:
    """What the request says of where it comes from; of one header sent twice, both."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.startswith(b"x-forwarded-"):
            found.setdefault(name.decode().title(), []).append(value.decode("latin-1"))
    return {name: ",".join(values) for name, values in found.items()}


def passed_on(request: h11.Request, browser: Side) -> h11.Request:
    """The request as the app gets it, with the browser's real address and scheme."""
    given: Headers = [(n, v) for n, v in request.headers.raw_items()]
    if {b"content-length", b"transfer-encoding"} <= {n.lower() for n, _ in given}:
        raise h11.RemoteProtocolError("a length and chunks", error_status_hint=400)  # smuggling
    switch = [(n, v) for n, v in given if n.lower() == b"upgrade"]
    kept = [
        (n, v)
        for n, v in given
        if n.lower() not in OURS | {b"upgrade"} and not n.lower().startswith(b"x-forwarded-")
    ]
    own = "https" if browser.writer.get_extra_info("ssl_object") else "http"
    scheme = real_scheme(peer(browser), own, told(request))
    ours: Headers = [
        (b"X-Real-IP", address(request, browser).encode()),
        (b"X-Scheme", scheme.encode()),
        (b"Connection", b"Upgrade" if switch else b"close"),
    ]
    return h11.Request(
        method=request.method, target=request.target, headers=[*kept, *switch, *ours]
    )


async def body(sender: Side, receiver: Side) -> None:
    """Pass on what follows the head, to its end."""
    if sender.state.their_state is not h11.SEND_BODY:  # it has been read: this is a second try
        return await receiver.send(h11.EndOfMessage())
    while True:
        event = await sender.event()
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise OSError("the browser left amid its request")
        await receiver.send(event)
        if isinstance(event, h11.EndOfMessage):
            return


async def answer(app: Side, browser: Side) -> Any:
    """Pass the app's answer on; the state of its connection afterwards."""
    while True:
        try:
            event = await app.event()
        except h11.RemoteProtocolError as wrong:
            raise OSError("the process ended amid its answer") from wrong
        if isinstance(event, h11.Response):
            kept = [(n, v) for n, v in event.headers.raw_items() if n.lower() != b"connection"]
            event = h11.Response(status_code=event.status_code, headers=kept, reason=event.reason)
        await browser.send(event)
        if app.state.their_state is h11.SWITCHED_PROTOCOL:
            return h11.SWITCHED_PROTOCOL
        if isinstance(event, h11.EndOfMessage):
            return h11.DONE


async def both_ways(browser: Side, app: Side) -> None:
    """Pass a websocket's bytes on until one side closes."""
    ways = [asyncio.create_task(one_way(browser, app)), asyncio.create_task(one_way(app, browser))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def one_way(sender: Side, receiver: Side) -> None:
    """Pass bytes on until the sender closes."""
    data = sender.state.trailing_data[0]
    while data or (data := await sender.reader.read(PIECE)):
        receiver.writer.write(data)
        await receiver.writer.drain()
        data = b""


async def refuse(browser: Side, status: int) -> None:
    """Say in a few words that it did not work, if it can still be said."""
    words = {503: b"Carrel is starting. Please try again in a moment.\n"}
    text = words.get(status, b"This did not work.\n")
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(text))),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
    ]
    with suppress(OSError, h11.LocalProtocolError):
        await browser.send(h11.Response(status_code=status, headers=headers))
        await browser.send(h11.Data(data=text))
        await browser.send(h11.EndOfMessage())


async def run(
    address: str, port: int, ports: list[int], context: ssl.SSLContext | None = None
) -> None:
    """Listen until cancelled."""
    processes = Processes(ports)
    server = await asyncio.start_server(
        lambda reader, writer: serve(processes, reader, writer), address, port, ssl=context
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ssl-certfile", type=Path)
    parser.add_argument("--ssl-keyfile", type=Path)
    parser.add_argument("--to", type=int, action="append", required=True, metavar="PORT")
    asked = parser.parse_args()
    files = asked.ssl_certfile, asked.ssl_keyfile
    context = exposure.context(*files) if all(files) else None
    with suppress(KeyboardInterrupt):
        asyncio.run(run(asked.address, asked.port, asked.to, context))


if __name__ == "__main__":
    main()
