"""Who calls the API: a session's short token, or a program's key. Nothing is trusted for long.

A session ends with its sign-out, its idle and absolute time-outs, and with any change of the
account's rights; each request looks it up, at most a second after the last one did.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bi_app.auth import second_factor, sessions, short_tokens
from bi_app.auth.accounts import Account, account, account_of, check_password, tell_change
from bi_app.auth.sql import run
from warehouse import audit
from warehouse.access import Role, Viewer
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

SCOPES = ("read", "export", "act", "admin")
KEY_START = "crl_"
LONGEST_DAYS = 366
KEPT_SECONDS, KEPT = 1.0, 4096


@dataclass(frozen=True)
class Caller:
    """Who calls; `scopes` bound what a key may be used for, a session has them all."""

    account: Account
    scopes: frozenset[str]
    session_id: str | None = None
    key_id: int | None = None

    @property
    def viewer(self) -> Viewer:
        """Who asks, as the database sees them."""
        return self.account.viewer


@dataclass(frozen=True)
class Pair:
    """What a sign-in gives: a short token, and a longer one that is good for the next, once."""

    access: str
    refresh: str
    account: Account


@dataclass(frozen=True)
class _Kept:
    caller: Caller
    looked: float
    expires: float


_kept: OrderedDict[bytes, _Kept] = OrderedDict()
_turns = [0]  # how often everybody was forgotten
_lock = threading.Lock()


def known(credential: str) -> Caller | None:
    """The caller that was looked up less than a second ago; None: ask `find`."""
    kept = _kept.get(_digest(credential))
    if kept is None or time.monotonic() - kept.looked > KEPT_SECONDS or time.time() > kept.expires:
        return None
    return kept.caller


def find(credential: str) -> Caller | None:
    """The caller behind a token or key; None when it is not, or no longer, good.

    What was looked up before a `forget` is not kept after it: a key that ends, ends at once.
    """
    looked, digest, turn = time.monotonic(), _digest(credential), _turns[0]
    found = _of_key(digest) if credential.startswith(KEY_START) else _of_token(credential)
    if found is None:
        _kept.pop(digest, None)
        return None
    caller, expires = found
    with _lock:
        if turn == _turns[0]:
            _kept[digest] = _Kept(caller, looked, expires)
            _kept.move_to_end(digest)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return caller


def _of_token(credential: str) -> tuple[Caller, float] | None:
    token = short_tokens.read(credential)
    if token is None:
        return None
    rows = run(
        "api_session",
        session_id=token.session_id,
        account_id=token.account_id,
        idle_minutes=settings().session_idle_min,
    )
    if not rows:
        return None
    caller = Caller(account(rows[0]), frozenset(SCOPES), session_id=token.session_id)
    return caller, token.expires + short_tokens.LEEWAY


def _of_key(digest: bytes) -> tuple[Caller, float] | None:
    """Who must have a second factor and has none yet uses no key, as he signs in to no session."""
    rows = run("api_key", key_sha256=digest)
    row = rows[0] if rows else None
    if row is None or _lacks_factor(row.account_id, row.role):
        return None
    return Caller(account(row), frozenset(row.scopes), key_id=row.key_id), float("inf")


def _lacks_factor(account_id: int, role: Role) -> bool:
    return second_factor.is_required(role) and not second_factor.is_on(account_id)


def verified(email: str, password: str, code: str | None = None) -> tuple[Account | None, str]:
    """The account whose password is right, and how that went: `ok`, `refused` or `second`.

    Where the account has a second factor, `code` must be one of its, or a recovery code. Who must
    have one and has none yet sets it up on a page first.
    """
    found = check_password(email, password)
    if found is None:
        return None, "refused"
    if second_factor.is_on(found.account_id):
        kind = second_factor.accept(found.account_id, code) if code else None
        if kind == "recovery":
            tell_change(found.email, found.name, "recovery")
        good = kind is not None
    else:
        good = not second_factor.is_required(found.viewer.role)
    return (found, "ok") if good else (None, "second")


def start(who: Account, *, address: str, client: str) -> Pair:
    """Open a session for a signed-in person."""
    refresh = secrets.token_urlsafe(32)
    rows = run(
        "start_api_session",
        account_id=who.account_id,
        unused=secrets.token_bytes(32),  # no cookie opens a session of the API
        token_sha256=_digest(refresh),
        hours=settings().session_hours,
        address=address,
        client=client[:200],
    )
    return Pair(short_tokens.issue(who.account_id, str(rows[0].session_id)), refresh, who)


def renew(refresh: str, *, address: str = "") -> Pair | None:
    """A new pair for a refresh token; None when it is not good.

    A token that was used before is in two hands: its session ends for both.
    """
    fresh = secrets.token_urlsafe(32)
    rows = run(
        "refresh",
        token_sha256=_digest(refresh),
        fresh_sha256=_digest(fresh),
        idle_minutes=settings().session_idle_min,
    )
    if not rows:
        return None
    who = account(rows[0])
    if rows[0].reused:
        forget()
        by, subject = audit.viewer(who.viewer, "api", address), f"account {who.account_id}"
        audit.note_late(by, "sign_in_refused", subject, "refused", why="refresh token used twice")
        return None
    return Pair(short_tokens.issue(who.account_id, str(rows[0].session_id)), fresh, who)


def end_session(caller: Caller, session_id: str) -> bool:
    """End one of the caller's own sessions; False when it is none of theirs."""
    ended = sessions.end_own(caller.account.account_id, session_id)
    forget()
    return bool(ended)


def make_key(
    account_id: int, name: str, scopes: Sequence[str], days: int
) -> tuple[str, dict[str, Any]]:
    """A new key, to be shown once, and what is kept of it.

    Raises:
        ConfigurationError: a scope is unknown, the time is not between 1 and 366 days, or the
            account must have a second factor and has none.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ConfigurationError(
            f"{', '.join(scopes) or 'nothing'} is no scope.", remedy=f"Scopes: {', '.join(SCOPES)}."
        )
    if not 1 <= days <= LONGEST_DAYS:
        raise ConfigurationError(f"A key is good for 1 to {LONGEST_DAYS} days, not {days}.")
    who = account_of(account_id)
    if who and _lacks_factor(account_id, who.viewer.role):
        raise ConfigurationError(
            f"{who.email} must have a second factor first.",
            remedy="It is set up on the way in, at the next sign-in on a page.",
        )
    key = KEY_START + secrets.token_urlsafe(32)
    rows = run(
        "add_api_key",
        account_id=account_id,
        name=name,
        prefix=key[:12],
        key_sha256=_digest(key),
        scopes=sorted(set(scopes), key=SCOPES.index),
        expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(days=days),
    )
    return key, dict(rows[0]._mapping)


def keys_of(account_id: int) -> list[dict[str, Any]]:
    """What is kept of an account's keys: never the keys themselves."""
    return [dict(row._mapping) for row in run("api_keys_of", account_id=account_id)]


def end_key(account_id: int, key_id: int) -> bool:
    """End a key for good; False when the account has no such key."""
    ended = run("end_api_key", account_id=account_id, key_id=key_id)
    forget()
    return bool(ended)


def forget() -> None:
    """Look everybody up anew."""
    with _lock:
        _turns[0] += 1
        _kept.clear()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
