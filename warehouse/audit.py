"""Put on record who did what: the one way into the audit log, for every door.

    audit.note(by, "export", "gold.loans_daily", rows=120)       now; raises when it cannot
    audit.note_late(by, "view", "/overview")                     in a moment; never raises
    with audit.acting(by, "export", "library_items") as facts:   begun, then done or failed
        facts["rows"] = 120

What must not happen unrecorded (exports, changes, sign-ins) calls `note` before it is given away,
or in its own transaction (`on=connection`), and fails when the note does. Views are gathered and
written a moment later by a thread, many at once; what cannot be written is tried again, and told
in the log of the process if it is given up. Texts are written without control characters, e-mail
addresses only as `who`. How the log is checked: `warehouse.audit_chain`.
"""

from __future__ import annotations

import atexit
import datetime as dt
import hashlib
import hmac
import json
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from warehouse.access import Viewer
from warehouse.database import engine
from warehouse.errors import WITH_WARNINGS, CarrelError, said
from warehouse.settings import settings

Door = Literal["page", "api", "export", "cli", "mail", "schedule"]
Outcome = Literal["begun", "done", "refused", "failed"]
log = logging.getLogger(__name__)

LONGEST = 300  # characters of a text
GATHERED_SECONDS, GATHERED = 0.2, 500  # what is noted late is written at most so late, so many
MOST_WAITING = 20_000
SIGN_EVERY, SIGN_SECONDS = 64, 300
APPEND = text("select * from audit.append(cast(:notes as jsonb))")
SIGN = text("select audit.sign(:signed, :of_hash, :at, :print, :mac)")
_THROUGH: ContextVar[tuple[Door, str]] = ContextVar("door", default=("cli", ""))
EMAIL = re.compile(r"[^\s@<>,;|\"']+@[^\s@<>,;|\"']+\.[^\s@<>,;|\"']+")
KEY = re.compile(r"[a-z][a-z_]{0,39}")


@dataclass(frozen=True)
class By:
    """Who does something: an account's e-mail or a user of the system, role, door, address."""

    who: str
    door: Door
    role: str = ""
    address: str = ""
    claimed: bool = False  # `who` is what a stranger typed: kept only if it is an account's


@contextmanager
def through(door: Door, address: str = "") -> Iterator[None]:
    """What is done inside comes through this door; threads see it if they copy the context."""
    token = _THROUGH.set((door, address))
    try:
        yield
    finally:
        _THROUGH.reset(token)


def viewer(who: Viewer, door: Door | None = None, address: str = "") -> By:
    """A signed-in person at a door; default: the one of `through`, else the shell."""
    known, known_address = _THROUGH.get()
    return By(who.user, door or known, who.role, address or known_address)


def shell() -> By:
    """Who sits at the shell: the account of the system, at this machine."""
    import pwd
    import socket

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run as ids that no account has
        name = f"uid {os.getuid()}"
    return By(f"{name}@{socket.gethostname()}", "cli", "system")


def note(
    by: By,
    act: str,
    subject: str = "",
    outcome: Outcome = "done",
    *,
    on: Connection | None = None,
    **details: Any,
) -> int:
    """Write an entry down now, and sign it; returns its number.

    Args:
        by: who, and through which door.
        act: a word such as `sign_in`, `view`, `export`, `change`, `run`, `refusal`.
        subject: what it was done to: a page's path, a table, `account 12`.
        outcome: what became of it.
        on: write in this transaction, so that entry and act stand or fall together; it should
            end soon, since others wait. Default: a transaction of its own, as the app's login.
        details: facts that are nobody's personal data: counts, kinds, names of columns.

    Raises:
        CarrelError: it could not be written; what it tells of must then not happen.
    """
    entry = made(by, act, subject, outcome, details)
    try:
        if on is not None:  # not kept outside: it may yet be rolled back
            return _append(on, [entry], sign=True).entry_id
        with engine("app").begin() as connection:
            head = _append(connection, [entry], sign=True)
    except SQLAlchemyError as error:
        raise CarrelError(
            f"The audit log could not be written ({said(error)}), so nothing was done.",
            remedy="See `carrel status`; `carrel migrate` makes the log where there is none.",
        ) from error
    keep_outside(head)
    return head.entry_id


@contextmanager
def acting(by: By, act: str, subject: str = "", **details: Any) -> Iterator[dict[str, Any]]:
    """Put an act on record as begun, and as done or failed at its end.

    Yields a dict for facts that are known only at the end.

    Raises:
        CarrelError: the log could not be written; at the beginning, nothing has happened yet.
    """
    number = note(by, act, subject, "begun", **details)
    facts: dict[str, Any] = {}
    try:
        yield facts
    except BaseException as error:
        if getattr(error, "exit_code", None) == WITH_WARNINGS:
            note(by, act, subject, "done", begun=number, warnings=True, **details | facts)
            raise
        note(by, act, subject, "failed", begun=number, error=type(error).__name__, **facts)
        raise
    note(by, act, subject, "done", begun=number, **details | facts)


def note_late(
    by: By, act: str, subject: str = "", outcome: Outcome = "done", **details: Any
) -> None:
    """Have an entry written in a moment, by a thread; for views, and for what is refused anyway."""
    entry = made(by, act, subject, outcome, details)
    entry["at"] = dt.datetime.now(dt.UTC).isoformat()
    try:
        LATE.put(engine("app"), entry)
    except CarrelError as error:  # no database is set
        log.error("audit: not in the log (%s): %s", error, json.dumps(entry))


def made(
    by: By, act: str, subject: str, outcome: Outcome, details: Mapping[str, Any]
) -> dict[str, Any]:
    """An entry as `audit.append` takes it.

    Raises:
        ValueError: a detail has no plain name.
    """
    if wrong := [key for key in details if not KEY.fullmatch(key)]:
        raise ValueError(f"no name of a detail: {wrong}")
    return {
        "who": plain(by.who, 200),
        "role": plain(by.role, 40),
        "address": plain(by.address, 100),
        "door": by.door,
        "claimed": by.claimed,
        "act": act,
        "subject": nameless(subject),
        "outcome": outcome,
        "details": {key: _tame(value) for key, value in details.items()},
    }


def plain(value: str, most: int = LONGEST) -> str:
    r"""A text on one line: what a terminal or a log reader obeys is written as \uXXXX."""
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in value[:most])
    return shown if len(value) <= most else f"{shown}…"


def nameless(value: str) -> str:
    """A plain text without e-mail addresses."""
    return EMAIL.sub("(e-mail)", plain(value))


def _tame(value: Any) -> Any:
    """A detail as JSON: numbers, texts, and lists of them."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if abs(number) < 1e300 else str(value)
    if isinstance(value, Mapping):
        return {nameless(str(k)): _tame(v) for k, v in list(value.items())[:50]}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_tame(v) for v in list(value)[:50]]
    return nameless(str(value))


# Signing ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """The hash of an entry at a time, and its signature where it was signed."""

    entry_id: int
    hash: str  # hex
    signed_at: str = ""
    key_print: str = ""
    signature: str = ""


def signature(purpose: str, entry_id: int, hashed: str, at: str) -> str:
    """HMAC-SHA256 with the key that the database does not hold, as hex."""
    body = f"carrel audit {purpose}|{entry_id}|{hashed}|{at}"
    return hmac.new(_key(), body.encode(), hashlib.sha256).hexdigest()


def key_print() -> str:
    """What tells one key from another without telling the key."""
    return hmac.new(_key(), b"carrel audit key", hashlib.sha256).hexdigest()[:16]


def _key() -> bytes:
    return settings().secrets["audit_key"].encode()


def stamp(at: dt.datetime) -> str:
    """A time as it is hashed and signed: UTC with microseconds."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _append(connection: Connection, entries: list[dict[str, Any]], *, sign: bool) -> Head:
    """Chain entries, and sign the last when it is asked for or due."""
    row = connection.execute(APPEND, {"notes": json.dumps(entries)}).one()
    head = Head(row.last_id, bytes(row.last_hash).hex())
    old = row.unsigned_for.total_seconds() > SIGN_SECONDS
    if not (sign or old or row.unsigned >= SIGN_EVERY):
        return head
    now = dt.datetime.now(dt.UTC)
    mac = signature("head", head.entry_id, head.hash, stamp(now))
    connection.execute(
        SIGN,
        {"signed": head.entry_id, "of_hash": bytes(row.last_hash), "at": now,
         "print": key_print(), "mac": mac},
    )  # fmt: skip
    return Head(head.entry_id, head.hash, stamp(now), key_print(), mac)


def heads_file() -> Path:
    """Where signed heads of this database are kept outside it, one JSON object a line."""
    url = settings().url()
    place = url.database or ""
    if settings().database_url:  # the embedded server's port may change
        place = f"{url.host}:{url.port}/{place}"
    return settings().home / f"audit-heads-{hashlib.sha256(place.encode()).hexdigest()[:8]}.jsonl"


def keep_outside(head: Head) -> None:
    """Add a signed head to the file, so that newer entries cannot go without a trace."""
    if not head.signature:
        return
    line = json.dumps(vars(head)) + "\n"
    try:
        handle = os.open(heads_file(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
    except OSError as error:  # the head in the database stands
        log.warning("could not add to %s: %s", heads_file(), error.strerror)


# Late notes -------------------------------------------------------------------------------------


class Late:
    """Entries that wait to be written, and the thread that writes them."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Engine, dict[str, Any]]] = deque()
        self.changed = threading.Condition()
        self.writing = False
        self.lost = 0
        self.process = 0

    def put(self, where: Engine, entry: dict[str, Any]) -> None:
        """Take an entry in; when too many wait, it is told in the process's log instead."""
        with self.changed:
            full = len(self.waiting) >= MOST_WAITING
            if not full:
                self.waiting.append((where, entry))
            self._start()
            self.changed.notify_all()
        if full:
            self._give_up([entry])

    def _start(self) -> None:
        if self.process == os.getpid():
            return
        self.process = os.getpid()  # a forked process has no thread yet
        threading.Thread(target=self._run, name="audit", daemon=True).start()
        atexit.register(self.flush, 3.0)

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until everything is written; returns whether it is."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.waiting and not self.writing, seconds)

    def _run(self) -> None:
        pause = 0.0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: bool(self.waiting))
            time.sleep(GATHERED_SECONDS + pause)
            pause = 0.0 if self._write() else min(30.0, 2 * pause + 0.5)

    def _write(self) -> bool:
        """Write the oldest entries of one database; returns whether that worked."""
        with self.changed:
            where = self.waiting[0][0]
            batch: list[dict[str, Any]] = []
            while self.waiting and self.waiting[0][0] is where and len(batch) < GATHERED:
                batch.append(self.waiting.popleft()[1])
            self.writing = True
        lost, self.lost = self.lost, 0
        try:
            with where.begin() as connection:
                head = _append(connection, batch + _of_lost(lost), sign=False)
            keep_outside(head)
        except Exception as error:
            log.warning("audit: %d entries wait, the log cannot be written: %s", len(batch),
                        said(error))  # fmt: skip
            self.lost += lost
            self._put_back(where, batch)
            return False
        finally:
            with self.changed:
                self.writing = False
                self.changed.notify_all()
        return True

    def _put_back(self, where: Engine, batch: list[dict[str, Any]]) -> None:
        with self.changed:
            gone = where.url != engine("app").url  # the settings name another database now
            if not gone:
                self.waiting.extendleft((where, entry) for entry in reversed(batch))
        if gone:
            self._give_up(batch)

    def _give_up(self, entries: list[dict[str, Any]]) -> None:
        self.lost += len(entries)
        for entry in entries:
            log.error("audit: not in the log: %s", json.dumps(entry))


def _of_lost(number: int) -> list[dict[str, Any]]:
    """The entry that says how many are in the process's log instead."""
    if not number:
        return []
    by = By("carrel", "page", "system")
    return [made(by, "lost", "audit log", "failed", {"entries": number})]


LATE = Late()
