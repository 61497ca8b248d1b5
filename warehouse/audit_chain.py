"""The audit log as it stands: whether it is untouched, what it says, and letting old entries go.

An entry's hash is SHA-256 over its parts and the hash of the entry before; `_canonical` writes the
same bytes as `audit.canonical` in the database. Heads (hashes of some entries, signed with a key
that the database does not hold) stand in `audit.heads` and in `audit-heads-*.jsonl` at home. So is
found: any entry that was changed, removed, put in or moved (the hashes), the end cut off (the
chain's own row, and heads whose entry is gone), and a chain that was written anew (its heads).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import namedtuple_row

from warehouse.audit import GATHERED, SIGN_EVERY, Head, heads_file, key_print, signature, stamp
from warehouse.database import connect
from warehouse.errors import CarrelError, ConfigurationError

ZERO = "0" * 64
MOST_UNSIGNED = SIGN_EVERY + GATHERED + 1
ENTRIES = """
select entry_id, at, noted_at, who, role, address, door, act, subject, outcome,
    details::text as details, login, encode(previous, 'hex') as previous,
    encode(hash, 'hex') as hash
from audit.entries
"""
HEADS = """
select entry_id, encode(hash, 'hex'), signed_at, key_print, signature from audit.heads
order by entry_id
"""
ANCHORS = """
select kind, entry_id, encode(hash, 'hex'), signed_at, key_print, signature from audit.anchors
order by anchor_id
"""
ADD_ANCHOR = """
insert into audit.anchors (kind, entry_id, hash, signed_at, key_print, signature)
values (%s, %s, decode(%s, 'hex'), %s, %s, %s)
"""
Kind = Literal["cut", "taken over"]


@dataclass(frozen=True)
class Verdict:
    """What verifying found: entries that stand, since when, and the first fault, if any."""

    entries: int
    since: dt.datetime | None = None
    signed_to: int = 0
    last: int = 0
    fault: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def unbroken(self) -> bool:
        """Whether nothing was found."""
        return self.fault is None


@dataclass(frozen=True)
class Wanted:
    """Which entries: whose (a part of the name), of which act, outcome, door, from when to when."""

    who: str | None = None
    act: str | None = None
    outcome: str | None = None
    door: str | None = None
    start: dt.datetime | None = None
    end: dt.datetime | None = None


class _Broken(Exception):
    """The first fault that was met."""


@contextmanager
def _reading(given: psycopg.Connection[Any] | None) -> Iterator[psycopg.Connection[Any]]:
    """One moment of the database, so that entries added meanwhile are no fault."""
    try:
        if given is not None:
            yield given
            return
        with connect() as opened:
            opened.execute("set transaction isolation level repeatable read, read only")
            yield opened
    except psycopg.errors.UndefinedTable as error:
        raise ConfigurationError(
            "There is no audit log here.", remedy="`carrel migrate` makes it."
        ) from error


def verify(connection: psycopg.Connection[Any] | None = None) -> Verdict:
    """Check every entry, head and anchor; memory does not grow with the log.

    Raises:
        ConfigurationError: there is no audit log.
    """
    walk = _Walk()
    with _reading(connection) as db:
        try:
            walk.outside = list(_kept_outside())  # first: it holds nothing that is not committed
            walk.begin(db)
            for row in _rows(db, ENTRIES + " order by entry_id", {}):
                walk.step(row)
            walk.finish(db)
        except _Broken as broken:
            return walk.verdict(str(broken))
        return walk.verdict(None)


class _Walk:
    """From the anchor to the end, entry by entry."""

    def __init__(self) -> None:
        self.count, self.last, self.hash = 0, 0, ZERO
        self.since: dt.datetime | None = None
        self.signed_to = 0
        self.taken_over = 0
        self.outside: list[Head] = []
        self.heads: dict[int, set[str]] = {}
        self.notes: list[str] = []

    def verdict(self, fault: str | None) -> Verdict:
        """What was found so far."""
        facts = (self.count, self.since, self.signed_to, self.last)
        return Verdict(*facts, fault=fault, notes=tuple(self.notes))

    def begin(self, db: psycopg.Connection[Any]) -> None:
        """Start at the last cut, and collect what is signed after it."""
        for kind, *facts in db.execute(ANCHORS).fetchall():
            head = Head(facts[0], facts[1], stamp(facts[2]), facts[3], facts[4])
            if head.key_print != key_print():
                continue  # of the key before a taking-over, which is signed with ours
            if not _signed(str(kind), head):
                raise _Broken(f"the anchor at entry {head.entry_id} has no good signature")
            if kind == "cut":
                self.last, self.hash, self.signed_to = head.entry_id, head.hash, head.entry_id
                self.notes.append(f"older ones, up to {head.entry_id}, went by retention")
            else:
                self.taken_over = head.entry_id
                self.notes.append(f"those up to {head.entry_id} were taken over from another key")
                self.heads.setdefault(head.entry_id, set()).add(head.hash)
        found = [Head(r[0], r[1], stamp(r[2]), r[3], r[4]) for r in db.execute(HEADS).fetchall()]
        for head in (*found, *self.outside):
            self._take(head)

    def _take(self, head: Head) -> None:
        if head.entry_id <= self.last:
            return  # went with the entries
        if head.key_print != key_print():
            if head.entry_id > self.taken_over:
                raise _Broken(
                    f"entry {head.entry_id} is signed with another key than audit_key in"
                    " secrets.json"
                )
            return
        if not _signed("head", head):
            raise _Broken(f"the signature of entry {head.entry_id} is not good")
        self.heads.setdefault(head.entry_id, set()).add(head.hash)

    def step(self, row: Any) -> None:
        """One entry: its number, its link to the one before, its hash, its signatures."""
        if row.entry_id != self.last + 1:
            missing = f"{self.last + 1}" + (
                f" to {row.entry_id - 1}" * (row.entry_id > self.last + 2)
            )
            raise _Broken(f"entry {missing} is missing")
        if row.previous != self.hash:
            raise _Broken(f"entry {row.entry_id} does not follow from the one before")
        if hashlib.sha256(_canonical(row)).hexdigest() != row.hash:
            raise _Broken(f"entry {row.entry_id} was changed")
        signed = self.heads.pop(row.entry_id, None)
        if signed is not None:
            if signed != {row.hash}:
                raise _Broken(f"entry {row.entry_id} is not the one that was signed")
            self.signed_to = row.entry_id
        elif row.entry_id - max(self.signed_to, self.taken_over) > MOST_UNSIGNED:
            raise _Broken(f"entries {self.signed_to + 1} to {row.entry_id} are not signed")
        self.count, self.last, self.hash = self.count + 1, row.entry_id, row.hash
        self.since = self.since or row.at

    def finish(self, db: psycopg.Connection[Any]) -> None:
        """Whether the end is where it was."""
        if self.heads:
            raise _Broken(f"entry {min(self.heads)} was signed, but is missing")
        row = db.execute("select entry_id, encode(hash, 'hex') from audit.chain").fetchone()
        if row is None or row != (self.last, self.hash):
            raise _Broken(f"what comes after entry {self.last} is missing")


def _signed(purpose: str, head: Head) -> bool:
    wanted = signature(purpose, head.entry_id, head.hash, head.signed_at)
    return hmac.compare_digest(head.signature.encode(), wanted.encode())


def _kept_outside() -> Iterator[Head]:
    """The signed heads of the file at home; a line that a kill left half written is none."""
    try:
        lines = heads_file().read_text("utf-8").splitlines()
    except FileNotFoundError:
        return
    for number, line in enumerate(lines, start=1):
        try:
            yield Head(**json.loads(line))
        except (ValueError, TypeError):
            if number < len(lines):
                raise _Broken(f"{heads_file()}, line {number}, is no head") from None


def _canonical(row: Any) -> bytes:
    parts = (
        "carrel audit 1", str(row.entry_id), stamp(row.at), stamp(row.noted_at), row.who, row.role,
        row.address, row.door, row.act, row.subject, row.outcome, row.details, row.login,
        row.previous,
    )  # fmt: skip
    return b"".join(b"%d:%s," % (len(b), b) for b in (p.encode() for p in parts))


def _rows(db: psycopg.Connection[Any], query: str, values: Mapping[str, Any]) -> Iterator[Any]:
    """Rows from a cursor on the server, a few thousand at a time."""
    with db.cursor("audit_rows", row_factory=namedtuple_row) as cursor:
        cursor.itersize = 5000
        yield from cursor.execute(query.encode(), values)


def entries(wanted: Wanted, *, newest: int | None = None) -> Iterator[dict[str, Any]]:
    """Entries as dicts, oldest first, or the newest so many first.

    Raises:
        ConfigurationError: there is no audit log.
    """
    where, values = _where(wanted)
    order = " order by entry_id" if newest is None else " order by entry_id desc limit %(newest)s"
    with _reading(None) as db:
        for row in _rows(db, ENTRIES + where + order, values | {"newest": newest}):
            yield row._asdict() | {"details": json.loads(row.details)}


def _where(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    asked: Sequence[tuple[str, Any]] = (
        ("position(lower(%(who)s) in lower(who)) > 0", wanted.who),
        ("act = %(act)s", wanted.act),
        ("outcome = %(outcome)s", wanted.outcome),
        ("door = %(door)s", wanted.door),
        ("at >= %(start)s", wanted.start),
        ("at < %(end)s", wanted.end),
    )
    used = [condition for condition, value in asked if value is not None]
    values = {key: value for key, value in vars(wanted).items() if value is not None}
    return (f" where {' and '.join(used)}" if used else ""), values


def cut(before: dt.datetime) -> int:
    """Let go of the oldest entries, up to the first that was noted at `before` or later.

    An anchor, signed, stays in their place. The newest entry always stays. Returns how many went.

    Raises:
        CarrelError: the log is broken, so that nothing is to go.
    """
    found = verify()
    if not found.unbroken:
        raise CarrelError(
            f"The audit log is broken: {found.fault}; nothing of it is let go.",
            remedy="See `carrel audit verify`.",
        )
    with connect() as db:
        row = db.execute(
            "select e.entry_id, encode(e.hash, 'hex') from audit.entries e"
            " where e.entry_id <"
            " (select coalesce(min(k.entry_id), (select entry_id from audit.chain))"
            " from audit.entries k where k.noted_at >= %s) order by e.entry_id desc limit 1",
            [before],
        ).fetchone()
        if row is None:
            return 0
        _anchor(db, "cut", *row)
        db.execute("set local carrel.audit_cut = 'on'")
        db.execute("delete from audit.heads where entry_id <= %s", [row[0]])
        gone = db.execute("delete from audit.entries where entry_id <= %s", [row[0]]).rowcount
    _shorten_file(row[0])
    return gone


def _shorten_file(up_to: int) -> None:
    """Drop heads of entries that went from the file at home."""
    kept = [head for head in _kept_outside() if head.entry_id > up_to]
    draft = heads_file().with_suffix(f".{os.getpid()}")
    draft.touch(0o600)
    draft.write_text("".join(json.dumps(vars(head)) + "\n" for head in kept))
    draft.replace(heads_file())


def _anchor(db: psycopg.Connection[Any], kind: Kind, entry_id: int, hashed: str) -> None:
    now = dt.datetime.now(dt.UTC)
    mac = signature(kind, entry_id, hashed, stamp(now))
    db.execute(ADD_ANCHOR, [kind, entry_id, hashed, now, key_print(), mac])


def take_over() -> str | None:
    """After a backup was restored: the end of the log is where it was then.

    Heads that the home kept of later entries are set aside (their file's name is returned), and
    where the backup comes from another key, its entries are vouched for by ours from now on.
    """
    aside = None
    if heads_file().exists():
        aside = heads_file().with_suffix(f".{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}")
        heads_file().replace(aside)
    with connect() as db:
        foreign = "select max(entry_id) from audit.heads where key_print <> %s"
        last = db.execute(foreign, [key_print()]).fetchone()
        end = db.execute("select entry_id, encode(hash, 'hex') from audit.chain").fetchone()
        if last and last[0] is not None and end:
            cut_to = db.execute(
                "select entry_id, encode(hash, 'hex') from audit.anchors where kind = 'cut'"
                " order by entry_id desc limit 1"
            ).fetchone()
            if cut_to:
                _anchor(db, "cut", *cut_to)
            _anchor(db, "taken over", *end)
    return str(aside) if aside else None
