"""Ask one question as a viewer: a select of the asker's own, which changes nothing.

PostgreSQL refuses what is more: the viewer's login has hardly a right to write, the transaction is
read-only and is always rolled back, and a cursor takes one select alone. What that leaves are
functions that act beside the rows (end other sessions, hold locks, run SQL from a text, sleep):
PostgreSQL calls them volatile, and a statement that names one is refused before it is sent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from tasks.reading import ONLY, TYPES, Connection, reading
from tasks.writers import Field
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError

SECONDS, MOST = 60, 1000
STARTS = ("select", "with", "values", "table")
# Volatile, but they only tell something.
HARMLESS = [
    "clock_timestamp", "gen_random_uuid", "pg_column_size", "pg_database_size", "pg_indexes_size",
    "pg_relation_size", "pg_table_size", "pg_total_relation_size", "random", "random_normal",
    "timeofday", "uuidv4", "uuidv7",
]  # fmt: skip
VOLATILE = """
select string_agg(distinct proname, ', ' order by proname) from pg_proc
where proname = any(%s) and provolatile = 'v' and proname <> all(%s)
"""
# PostgreSQL's tokens, as far as they hide or show a name (its manual, 4.1). Whatever is beyond
# ASCII is a letter to it, in names and in the tags of dollar quotes, and no blank.
TOKEN = re.compile(
    r"""
      --[^\n\r]*
    | (?P<block> /\* )
    | (?P<escape> [eEuU]&?' | [uU]&" )
    | '(?:[^']|'')*'
    | \$(?P<tag>(?:[a-zA-Z_\x80-\U0010ffff][a-zA-Z0-9_\x80-\U0010ffff]*)?)\$ .*? \$(?P=tag)\$
    | "(?P<quoted>(?:[^"]|"")*)"
    | (?P<word>[a-zA-Z_\x80-\U0010ffff][a-zA-Z0-9_$\x80-\U0010ffff]*)
    | (?P<number>[0-9][a-zA-Z0-9_.\x80-\U0010ffff]*)
    | (?P<blank>[ \t\n\r\f\v]+)
    | (?P<mark>.)
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Answer:
    """Rows as PostgreSQL writes their values (None: null), times in UTC; `more`: not all."""

    fields: tuple[Field, ...]
    rows: list[tuple[str | None, ...]]
    more: bool
    seconds: float


def ask(
    viewer: Viewer,
    statement: str,
    values: Mapping[str, Any] | None = None,
    *,
    most: int = MOST,
    seconds: int = SECONDS,
) -> Answer:
    """Ask as the viewer; the first `most` rows of the answer.

    Args:
        viewer: whose rows.
        statement: one select.
        values: of its `%(name)s`; without them a percent sign is one.
        most: rows at the most.
        seconds: how long it may take.

    Raises:
        ConfigurationError: it is no select, would do more than read, or is refused.
        LoadFailed: it took too long.
    """
    began = time.monotonic()
    plain = checked(statement)
    with asking(viewer, seconds) as connection:
        _refuse_acts(connection, plain)
        # `binary`: by the protocol that takes one statement alone.
        declared = sql.SQL("declare question no scroll cursor for ") + sql.SQL(plain)
        connection.execute(declared, values, binary=True)
        cursor = connection.execute(b"fetch forward %d from question" % (most + 1))
        found = _texts(cursor)
        fields = tuple(
            Field(c.name, TYPES.get(c.type_code, "text")) for c in cursor.description or ()
        )
    return Answer(fields, found[:most], len(found) > most, time.monotonic() - began)


@contextmanager
def asking(viewer: Viewer, seconds: int = SECONDS) -> Iterator[Connection]:
    """A read-only transaction of the viewer's that is rolled back, with all that it set.

    Raises:
        ConfigurationError: PostgreSQL refuses the statement.
        LoadFailed: it took longer than `seconds`.
    """
    with reading(viewer, seconds) as connection:
        try:
            connection.execute("set transaction read only")
            yield connection
        finally:
            connection.rollback()


def checked(statement: str) -> str:
    """The statement without a semicolon at its end.

    Raises:
        ConfigurationError: it is no single select, or hides names behind escapes.
    """
    if "\0" in statement or not _is_text(statement):
        raise ConfigurationError("The statement is no text.", remedy="Write it in UTF-8.")
    tokens = list(_tokens(statement))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    words = [token.text.lower() for token in tokens]
    if ";" in words or not words or words[0] not in (*STARTS, "("):
        raise ConfigurationError("This is not one select statement.", remedy=ONLY)
    return statement[: tokens[-1].end]


def _is_text(statement: str) -> bool:
    """Whether it can be sent: a terminal may give bytes that are no UTF-8 as lone surrogates."""
    try:
        statement.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def calls(statement: str) -> set[str]:
    """The names in a statement that stand before a bracket, as functions do."""
    tokens = [token.text for token in _tokens(statement)]
    names = {first for first, then in pairwise(tokens) if then == "("}
    return {n[1:] if n.startswith('"') else n.lower() for n in names if n not in ("(", ")")}


class Token(NamedTuple):
    """A part of a statement, and where it ends."""

    text: str
    end: int


def _tokens(statement: str) -> Iterator[Token]:
    """Words, `"` with a quoted name, and marks; texts as `'`, comments and blanks left out.

    Raises:
        ConfigurationError: an escape stands in it, within which words could hide.
    """
    at = 0
    while token := TOKEN.match(statement, at):
        at = token.end()
        if token["escape"]:
            raise ConfigurationError(
                "E'…' and U&… are not taken here.", remedy="Write texts and names as they are."
            )
        if token["block"]:
            at = _after_block(statement, at)
        elif token["quoted"] is not None:
            yield Token('"' + token["quoted"].replace('""', '"'), at)
        elif not token["blank"] and not token[0].startswith("--"):
            yield Token(token["word"] or token["mark"] or "'", at)


def _after_block(statement: str, at: int) -> int:
    """Where a comment ends that began before `at`; they nest."""
    depth = 1
    for mark in re.compile(r"/\*|\*/").finditer(statement, at):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(statement)


def _refuse_acts(connection: Connection, statement: str) -> None:
    names = sorted(calls(statement))
    row = connection.execute(VOLATILE, [names, HARMLESS]).fetchone()
    if row and row[0]:
        raise ConfigurationError(
            f"A question may not call {row[0]}: it does more than read.", remedy=ONLY
        )


def _texts(cursor: psycopg.Cursor[Any]) -> list[tuple[str | None, ...]]:
    """The rows of a result as PostgreSQL wrote them: no value is too old or too great for it."""
    result = cursor.pgresult
    assert result is not None
    oids = [c.type_code for c in cursor.description or ()]

    def text(row: int, column: int) -> str | None:
        value = result.get_value(row, column)
        if value is None:
            return None
        if oids[column] == 16:
            return "true" if value == b"t" else "false"
        return bytes(value).decode("utf-8", "replace")

    width = range(result.nfields)
    return [tuple(text(row, column) for column in width) for row in range(result.ntuples)]
