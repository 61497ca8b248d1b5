"""Requests that act, done once: the same Idempotency-Key again gets the answer that it had."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header, Request, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers
from bi_app.api.rest.problems import Problem
from bi_app.auth.callers import Caller
from bi_app.auth.sql import run

SECRETS = ("link", "key")
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]+$",
        description="Sent again with the same body within a day: the first answer, done once",
    ),
]


async def once(
    request: Request, caller: Caller, key: str | None, act: Callable[[], tuple[int, Any]]
) -> Response:
    """Do `act()`, which returns status and content, unless it was done for this key.

    The answer is kept without what is shown once (a link, a key). A refusal frees the key.

    A process that was killed in between may have done it or not: it is not done again by itself.

    Raises:
        Problem: 409 while the first is under way or where nobody knows what became of it, 422 when
            the key was used for something else.
    """
    body = await request.body()
    return await run_in_threadpool(_once, _print(request, body), caller, key, act)


def _once(
    request: bytes, caller: Caller, key: str | None, act: Callable[[], tuple[int, Any]]
) -> Response:
    if key is None:
        status, content = act()
        return answers.sent(content, status)
    named = {"account_id": caller.account.account_id, "key": key}
    found = run("take_key", **named, request_sha256=request)[0]
    if not found.taken:
        return _before(found)
    try:
        status, content = act()
    except BaseException:
        run("free_key", **named)
        raise
    kept = {k: v for k, v in content.items() if k not in SECRETS}
    run("keep_answer", **named, status=status, body=answers.written(kept).decode())
    return answers.sent(content, status)


def _before(found: Any) -> Response:
    """What was answered before."""
    if found.same is False:
        raise Problem(422, "This Idempotency-Key was used for another request.")
    if found.lost:
        raise Problem(
            409,
            "The first request with this Idempotency-Key ended without an answer. See whether it"
            " was done; if not, send it with another key.",
        )
    if found.status is None:
        raise Problem(409, "The first request with this Idempotency-Key is under way.")
    return answers.sent(json.loads(found.body), found.status, {"Idempotency-Replayed": "true"})


def _print(request: Request, body: bytes) -> bytes:
    """What makes a request another one: method, address and body."""
    said = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(said + body).digest()
