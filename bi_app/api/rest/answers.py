"""How answers are written: JSON; an ETag where a copy may be kept, no-store where it may not."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from fastapi import Request, Response

from bi_app.auth.callers import Caller

JSON = "application/json"
KEEP = "private, no-cache"  # kept by the asker alone, and asked about each time


def plain(value: Any, others: Callable[[Any], Any] | None = None) -> Any:
    """A value that JSON does not know, as one that it does; what is none of these, by `others`.

    Raises:
        TypeError: it is nothing that an answer holds.
    """
    if isinstance(value, dt.date | dt.datetime | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, UUID | bytes | memoryview):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if others:
        return others(value)
    raise TypeError(f"{type(value).__name__} in an answer")


def written(content: Any, *, others: Callable[[Any], Any] | None = None) -> bytes:
    """Content as JSON; a number that is none becomes null."""
    told = partial(plain, others=others)
    try:
        text = json.dumps(content, default=told, allow_nan=False, ensure_ascii=False)
    except ValueError:
        text = json.dumps(_finite(json.loads(json.dumps(content, default=told))))
    return text.encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list) else value


def sent(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer that is the asker's own and kept nowhere (`no-store`)."""
    return Response(written(content), status, headers or {}, JSON)


def keepable(
    request: Request, caller: Caller, body: bytes, published: object, media: str = JSON
) -> Response:
    """An answer that the asker may keep and ask about: 304 while it is still the same.

    The ETag is made of the viewer, the time of publication and the answer itself.
    """
    digest = hashlib.sha256(body)
    digest.update(repr((caller.viewer, published)).encode())
    etag = f'"{digest.hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": KEEP, "Vary": "Authorization"}
    if etag in _known(request):
        return Response(None, 304, headers)
    return Response(body, 200, headers, media)


def _known(request: Request) -> set[str]:
    """The ETags that the asker has."""
    given = request.headers.get("if-none-match", "")
    return {tag.strip().removeprefix("W/") for tag in given.split(",")}
