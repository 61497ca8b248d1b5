"""Sessions: a random token in a signed cookie; the database keeps only its SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from bi_app.auth.accounts import Account, account
from bi_app.auth.sql import run
from warehouse.settings import settings

COOKIE = "carrel_session"
FORM_COOKIE = "carrel_form"
COOKIES = (COOKIE, FORM_COOKIE)
WINDOW_MINUTES = 15
FREE_PAIR, FREE_ADDRESS = 5, 40


@dataclass(frozen=True)
class SignedIn:
    """A live session: its number, whose it is, what was fetched ahead, and from where it asks."""

    session_id: str
    account: Account
    prepared: Any = None
    address: str = ""


def signature(purpose: str, value: str) -> str:
    """An HMAC-SHA256 that is good for one purpose only, as hex."""
    key = settings().secrets["cookie_key"].encode()
    return hmac.new(key, f"{purpose}|{value}".encode(), hashlib.sha256).hexdigest()


def sealed(purpose: str, value: str) -> str:
    """The value with its signature, to go into a cookie."""
    return f"{value}.{signature(purpose, value)}"


def opened(purpose: str, cookie: str | None) -> str | None:
    """The value of a sealed cookie; None when it is absent or not ours."""
    value, _, given = (cookie or "").rpartition(".")
    good = hmac.compare_digest(given.encode(), signature(purpose, value).encode())
    return value if value and good else None


def start(who: Account, *, address: str, client: str) -> str:
    """Open a session and return the cookie's value; every sign-in gets a new token."""
    token = secrets.token_urlsafe(32)
    run(
        "start_session",
        account_id=who.account_id,
        token_sha256=_digest(token),
        hours=settings().session_hours,
        address=address,
        client=client[:200],
    )
    return sealed("session", token)


def find(cookie: str | None) -> SignedIn | None:
    """The live session of a cookie; an idle, expired, ended or disabled one is none."""
    token = opened("session", cookie)
    if token is None:
        return None
    rows = run("session", token_sha256=_digest(token), idle_minutes=settings().session_idle_min)
    return SignedIn(str(rows[0].session_id), account(rows[0])) if rows else None


def end(session_id: str) -> None:
    """End a session for good."""
    run("end_session", session_id=session_id)


def alive(known: dict[str, SignedIn], used: set[str]) -> set[str]:
    """Which of the known sessions still live, with the rights they were opened with.

    `used` holds those that were active since the last look: their idle time starts anew.
    """
    rows = run(
        "alive", known=list(known), used=list(used), idle_minutes=settings().session_idle_min
    )
    return {str(r.session_id) for r in rows if _same_rights(known[str(r.session_id)], r)}


def _same_rights(session: SignedIn, row: object) -> bool:
    viewer = session.account.viewer
    now = (row.role, tuple(row.branches), row.member_key)  # type: ignore[attr-defined]
    return viewer.scope == now


def wait(email: str, address: str) -> int:
    """Seconds that this account must wait from this address after repeated failures; 0: none.

    After five failures the wait doubles from 15 s to 15 min; one address has forty for all.
    """
    row = run("failures", email=email, address=address, window_minutes=WINDOW_MINUTES)[0]
    waits = (
        _delay(row.pair - FREE_PAIR) - (row.pair_age or 0),
        _delay(row.address - FREE_ADDRESS) - (row.address_age or 0),
    )
    return max(0, round(max(waits)))


def _delay(excess: int) -> float:
    return 0.0 if excess < 0 else min(15 * 2**excess, WINDOW_MINUTES * 60)


def note(email: str, address: str, outcome: str) -> None:
    """Write a sign-in down: `ok`, `refused` or `locked`."""
    run("note_sign_in", email=email[:200], address=address, outcome=outcome)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
