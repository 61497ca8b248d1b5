"""Who asks, and the only way to ask: `acting_as(viewer)`.

The database decides who sees a row. Each role has a PostgreSQL login of its own, so `set role`
cannot climb; a signed, expiring claim, set for one transaction, tells the row policies which
branches and which member the asker may see. Without a valid claim there are no rows.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, text

from warehouse.database import engine
from warehouse.settings import settings

Role = Literal["admin", "librarian", "member"]
ROLES: tuple[Role, ...] = ("admin", "librarian", "member")
CLAIM_SECONDS = 60


@dataclass(frozen=True)
class Viewer:
    """A signed-in person: `user` (e-mail), role, own branches, own pseudonym."""

    user: str
    role: Role
    branches: tuple[str, ...] = ()
    member_key: str | None = None

    @property
    def scope(self) -> tuple[str, tuple[str, ...], str | None]:
        """What decides the rows that are seen; a cache key must contain it."""
        return self.role, self.branches, self.member_key


@contextmanager
def acting_as(viewer: Viewer, *, writes: bool = False) -> Iterator[Connection]:
    """A transaction that sees exactly the viewer's rows; read-only unless it `writes`.

    What may be written is decided by grants and policies: an admin's requests and acts on alerts.
    """
    with engine(viewer.role).begin() as connection:
        if writes:
            connection.execute(text("set transaction read write"))
        # By the driver, with less work than through SQLAlchemy: every question does this first.
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("select set_config('carrel.claim', %s, true)", [claim(viewer)])
        yield connection


def claim(viewer: Viewer, *, now: float | None = None) -> str:
    """The signed claim `user|role|branches|member|expiry|hmac-sha256`.

    Raises:
        ValueError: a part holds a separator, so that it could pass for another part.
    """
    expiry = str(int((time.time() if now is None else now) + CLAIM_SECONDS))
    branches = ",".join(viewer.branches)
    parts = (viewer.user, viewer.role, branches, viewer.member_key or "", expiry)
    if any("|" in p for p in parts) or any("," in b for b in viewer.branches):
        raise ValueError("a claim's part holds a separator")
    body = "|".join(parts)
    return f"{body}|{_sign(body)}"


def _sign(body: str) -> str:
    key = settings().secrets["claim_key"].encode()
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def claim_pads() -> tuple[bytes, bytes]:
    """The inner and outer HMAC pads of the claim key (RFC 2104), as PostgreSQL keeps them."""
    key = settings().secrets["claim_key"].encode()
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)
