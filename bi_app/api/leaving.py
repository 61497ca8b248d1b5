"""SIGTERM to the app: open pages are told, what is under way is finished, then it ends.

Bokeh's own way is to stop at once, which loses the answers that are being worked out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from bokeh.server.server import Server
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

log = logging.getLogger(__name__)
LONGEST = 12.0  # seconds; the supervisor waits 20
GOING_AWAY = 1001  # of websockets (RFC 6455, 7.4.1): the server goes down
under_way: set[RequestHandler] = set()
leaving = asyncio.Event()


def finish_first() -> None:
    """Have the server end softly from now on."""
    _count_requests()

    def sigterm(self: Any) -> None:
        leaving.set()
        self._loop.add_callback(_finish, self)

    Server._sigterm = sigterm


def _count_requests() -> None:
    """Know which requests are being answered; a websocket is none."""
    execute = RequestHandler._execute

    async def counted(self: RequestHandler, *args: Any, **options: Any) -> None:
        if isinstance(self, WebSocketHandler):
            return await execute(self, *args, **options)
        under_way.add(self)
        try:
            return await execute(self, *args, **options)
        finally:
            under_way.discard(self)

    RequestHandler._execute = counted  # type: ignore[method-assign]


async def _finish(server: Any) -> None:
    """Let nobody in, tell the open pages, wait for the answers, and stop."""
    server._http.stop()
    pages = list(server._tornado._clients)
    for page in pages:
        page._socket.close(GOING_AWAY, "the server restarts")
    log.info("ending: %d pages are told, %d requests are under way", len(pages), len(under_way))
    end = time.monotonic() + LONGEST
    while _busy(server._http) and time.monotonic() < end:
        await asyncio.sleep(0.02)
    server._loop.stop()


def _busy(http: Any) -> bool:
    """Whether a request is being answered, or its answer still being sent."""
    return bool(under_way) or any(c.stream.writing() for c in http._connections)
