"""Sessions: a random token in a signed cookie; the database keeps only its SHA-256."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from bi_app import words
from bi_app.auth.accounts import Account, account
from bi_app.auth.sql import run
from warehouse.settings import settings

COOKIE = "carrel_session"
FORM_COOKIE = "carrel_form"
DEVICE_COOKIE = "carrel_device"
SECOND_COOKIE = "carrel_second"
LINK_COOKIE = "carrel_link"
OIDC_COOKIE = "carrel_oidc"
COOKIES = (COOKIE, FORM_COOKIE, DEVICE_COOKIE, SECOND_COOKIE, LINK_COOKIE, OIDC_COOKIE)
WINDOW_MINUTES = 15
FREE_PAIR, FREE_ADDRESS, FREE_ACCOUNT = 5, 40, 20
DEVICE_DAYS = 180


@dataclass(frozen=True)
class SignedIn:
    """A live session: its number, whose it is, what was fetched ahead, from where it asks, and
    the language of its page.
    """

    session_id: str
    account: Account
    prepared: Any = None
    address: str = ""
    language: str = words.SOURCE


@dataclass(frozen=True)
class OwnSession:
    """A live session as its person sees it."""

    session_id: str
    started_at: dt.datetime
    seen_at: dt.datetime
    expires_at: dt.datetime
    address: str | None
    client: str | None
    method: str


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


def start(who: Account, *, address: str, client: str, method: str = "password") -> str:
    """Open a session and return the cookie's value; every sign-in gets a new token.

    `method` says how the person proved to be who they are, for the lists of sessions.
    """
    token = secrets.token_urlsafe(32)
    run(
        "start_session",
        account_id=who.account_id,
        token_sha256=_digest(token),
        hours=settings().session_hours,
        address=address,
        client=client[:200],
        method=method,
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


def own(account_id: int) -> list[OwnSession]:
    """The live sessions of an account, the one used last first."""
    rows = run("own_sessions", account_id=account_id, idle_minutes=settings().session_idle_min)
    return [OwnSession(**{**r._mapping, "session_id": str(r.session_id)}) for r in rows]


def end_own(account_id: int, session_id: str) -> set[str]:
    """End one session of an account; the numbers of those that ended, one or none."""
    rows = run("end_own_session", account_id=account_id, session_id=session_id)
    return {str(row.session_id) for row in rows}


def end_all_own(account_id: int) -> set[str]:
    """Sign an account out everywhere; the numbers of the sessions that ended."""
    return {str(row.session_id) for row in run("end_account_sessions", account_id=account_id)}


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


def wait(email: str, address: str, device: str | None = None) -> int:
    """Seconds that this account must wait here after repeated failures; 0: none.

    After five failures the wait doubles from 15 s to 15 min; one address has forty for all, and
    an account twenty from all addresses. On a device that the account knows (`device_of`) only
    what went wrong on that device counts: strangers cannot lock anybody out there.
    """
    row = run(
        "failures", email=email, mark=mark(email), address=address, device_id=device,
        window_minutes=WINDOW_MINUTES,
    )[0]  # fmt: skip
    waits = [_delay(row.pair - FREE_PAIR) - (row.pair_age or 0)]
    if device is None:
        waits.append(_delay(row.address - FREE_ADDRESS) - (row.address_age or 0))
        waits.append(_delay(row.account - FREE_ACCOUNT) - (row.account_age or 0))
    return max(0, round(max(waits)))


def _delay(excess: int) -> float:
    return 0.0 if excess < 0 else min(15 * 2**excess, WINDOW_MINUTES * 60)


def note(email: str, address: str, outcome: str, device: str | None = None) -> None:
    """Write a sign-in down: `ok`, `refused`, `second`, `locked` or `asked`.

    The address stays only if it is an account's: else it may be a password in the wrong field.
    """
    run(
        "note_sign_in", email=email[:200], mark=mark(email[:200]), address=address,
        outcome=outcome, device_id=device,
    )  # fmt: skip


def mark(typed: str) -> str:
    """What stands for an e-mail that no account has: keyed, so that nobody can try words on it."""
    return f"(no account) {signature('typed', typed.lower())[:16]}"


def device_of(cookie: str | None, email: str) -> str | None:
    """The number of the device, if the account of this e-mail signed in from it before."""
    token = opened("device", cookie)
    rows = run("device", token_sha256=_digest(token), email=email) if token else []
    return str(rows[0].device_id) if rows else None


def remember_device(account_id: int) -> str:
    """Let an account know a device from now on; the cookie's value."""
    token = secrets.token_urlsafe(32)
    run("add_device", account_id=account_id, token_sha256=_digest(token))
    return sealed("device", token)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
