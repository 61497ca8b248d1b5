"""Pages of lists: a cursor holds the key of the last entry, so no page costs more than another."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request

from bi_app.api.rest.answers import plain
from bi_app.api.rest.problems import Problem

LONGEST = 2000
Limit = Annotated[int, Query(ge=1, le=500, description="Most entries of the answer")]
After = Annotated[
    str | None,
    Query(
        max_length=LONGEST,
        pattern="^[A-Za-z0-9_-]+$",
        description="The cursor of a `next` link; nothing else is a cursor",
    ),
]


def cursor(key: Sequence[Any]) -> str:
    """The key of the last entry of a page as a cursor."""
    text = json.dumps(list(key), default=plain, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def opened(after: str | None, kinds: Sequence[type]) -> list[Any] | None:
    """The key in a cursor, of values of the kinds given; None for the first page.

    Raises:
        Problem: 422, it is no cursor of this list.
    """
    if after is None:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise _none() from None
    right = isinstance(key, list) and len(key) == len(kinds)
    if not right or not all(type(v) is k for v, k in zip(key, kinds, strict=True)):
        raise _none()
    if any(isinstance(v, int) and abs(v) >= 2**63 for v in key) or "\0" in str(key):
        raise _none()
    return list(key)


def _none() -> Problem:
    return Problem(
        422,
        "This is no cursor of this list.",
        errors=[{"where": "query.after", "what": "Take it from a `next` link."}],
    )


def page(
    request: Request, items: Sequence[Any], limit: int, key: Callable[[Any], Sequence[Any]]
) -> dict[str, Any]:
    """A page of a list that was asked for one entry more than `limit`: items, and the next link."""
    shown = list(items[:limit])
    following = None
    if len(items) > limit:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k != "after"]
        asked = urlencode([*kept, ("after", cursor(key(shown[-1])))])
        following = f"{request.url.path}?{asked}"
    return {"items": shown, "next": following}
