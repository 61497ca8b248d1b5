"""Around every request: its id, the size of its body, its address's rate, headers, one log line."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bi_app.api.rest import problems
from bi_app.api.rest.limits import Buckets
from bi_app.auth.origin import address_in
from warehouse import audit
from warehouse import log as log_lines
from warehouse.settings import settings

log = logging.getLogger(__name__)
LARGEST = 64 * 1024
GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
TOO_LARGE = f"A request's body holds at most {LARGEST // 1024} KB."
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class Guard:
    """The outermost layer of the API."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.addresses = Buckets(settings().api_address_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what goes wrong outside the app's own handlers is a 500."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        one = _Request(scope, receive, send)
        address = address_in(scope)
        with log_lines.during(one.id), audit.through("api", address):
            wait = self.addresses.take(address)
            if wait:
                await one.refuse(429, "This address sends too many requests.", wait)
            elif one.announced > LARGEST:
                await one.refuse(413, TOO_LARGE)
            else:
                await one.passed_to(self.app)
            one.say()


class _Request:
    """One request under way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.headers = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"")
        good = GIVEN_ID.fullmatch(given)
        self.id = given.decode() if good else secrets.token_hex(8)
        length = self.headers.get(b"content-length", b"0")
        self.announced = int(length) if length.isdigit() else 0
        self.began, self.status, self.received = time.perf_counter(), 0, 0

    async def passed_to(self, app: ASGIApp) -> None:
        try:
            await app(self.scope, self.counted, self.sent)
        except Exception:  # it has been logged, and answered if it could be
            if not self.status:
                await self.refuse(500, "Something went wrong on our side.")

    async def refuse(self, status: int, detail: str, wait: int = 0) -> None:
        """Answer with a problem."""
        headers = {"Retry-After": str(wait)} if wait else {}
        response = problems.answer(status, detail, headers)
        await response(self.scope, self.receive, self.sent)

    async def counted(self) -> Message:
        """The next part of the body.

        Raises:
            HTTPException: 413, the body is larger than was announced and than is taken.
        """
        message = await self.receive()
        self.received += len(message.get("body", b""))
        if self.received > LARGEST:
            raise HTTPException(413, TOO_LARGE)
        return message

    async def sent(self, message: Message) -> None:
        """Send a part of the answer, with the headers that each answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            there = {name for name, _ in message["headers"]}
            more = [h for h in HEADERS if h[0] not in there]
            if b"cache-control" not in there:
                more.append((b"cache-control", b"no-store"))
            more.append((b"x-request-id", self.id.encode()))
            message["headers"] = [*message["headers"], *more]
        await self.send(message)

    def say(self) -> None:
        """One line: the route as the document names it, so that no value gets into the log."""
        route = self.scope.get("route")
        facts: dict[str, Any] = {
            "method": self.scope["method"],
            "route": getattr(route, "path", None),
            "status": self.status,
            "ms": round((time.perf_counter() - self.began) * 1000, 1),
            "account": caller.account.account_id if (caller := self.scope.get("caller")) else None,
        }
        log.info("request", extra=facts)
