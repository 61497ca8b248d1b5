"""Tokens of links: random, for one purpose, used once, expiring; the database keeps a SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from bi_app.auth.sql import run
from warehouse.settings import settings

Purpose = Literal["join", "reset", "second"]
LINKS: tuple[Purpose, ...] = ("join", "reset")
SECOND_MINUTES = 10


@dataclass(frozen=True)
class Bearer:
    """Whom a token is for: an account, or (`account_id` None) one that is to be made."""

    purpose: Purpose
    account_id: int | None
    email: str
    name: str
    stated_key: str | None = None
    attempts: int = 0


def make(bearer: Bearer) -> str:
    """A new token; it is not kept and cannot be had again."""
    token = secrets.token_urlsafe(32)
    known = bearer.account_id is not None
    run(
        "add_token",
        token_sha256=digest(token),
        purpose=bearer.purpose,
        account_id=bearer.account_id,
        email=None if known else bearer.email,
        name=None if known else bearer.name,
        stated_key=bearer.stated_key,
        minutes=minutes(bearer.purpose),
    )
    return token


def minutes(purpose: Purpose) -> int:
    """How long a token of this purpose is good for."""
    wanted = settings()
    spans = {"join": wanted.invite_hours * 60, "reset": wanted.reset_min}
    return spans.get(purpose, SECOND_MINUTES)


def link(token: str) -> str:
    """The address that stands in a mail. The page behind it takes the token out of the address."""
    return f"{settings().app_address}/link/{token}"


def look(token: str, *purposes: Purpose) -> Bearer | None:
    """Whom the token is for; None when it is unknown, used, expired or for something else."""
    return _bearer("token", token, purposes)


def spend(token: str, *purposes: Purpose) -> Bearer | None:
    """The same as `look`, and the token is used up."""
    return _bearer("spend_token", token, purposes)


def _bearer(statement: str, token: str, purposes: tuple[Purpose, ...]) -> Bearer | None:
    rows = run(statement, token_sha256=digest(token), purposes=list(purposes))
    return Bearer(*rows[0]) if rows else None


def digest(token: str) -> bytes:
    """What the database keeps of a token: it has 256 random bits, so a plain hash will do."""
    return hashlib.sha256(token.encode()).digest()
