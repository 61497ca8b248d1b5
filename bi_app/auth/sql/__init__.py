"""Statements about accounts: as the app's own login, or as the viewer who asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from warehouse import audit
from warehouse.access import Viewer, acting_as
from warehouse.database import engine
from warehouse.errors import ConfigurationError

CHANGES = {
    "invite", "approve", "disable", "enable", "set_role", "set_branches", "link_member",
    "link_stated", "change", "end_one_session", "end_account_sessions", "remove_second_factor",
}  # fmt: skip
ILLEGAL, FORBIDDEN = "CA001", "42501"  # what our functions refuse with; what PostgreSQL does


class NotLegal(ConfigurationError):
    """It is against the rules, whoever asks."""


class NotAllowed(ConfigurationError):
    """The asker's role may not do this."""


@cache
def _statement(name: str) -> str:
    return (Path(__file__).parent / f"{name}.sql").read_text("utf-8")


def run(statement: str, /, **values: Any) -> list[Row[Any]]:
    """Run `<statement>.sql` as the app's login, in a transaction of its own; return its rows.

    Raises:
        NotLegal: it is illegal whoever asks.
    """
    with _refusals(), engine("app").begin() as connection:
        result = connection.execute(text(_statement(statement)), values)
        return list(result) if result.returns_rows else []


def run_as(by: Viewer, statement: str, /, **values: Any) -> list[Row[Any]]:
    """Run `<statement>.sql` as the viewer, whom the database lets do what their role may.

    A change is put on record in the same transaction; its door is that of `audit.through`.

    Raises:
        NotAllowed: the role may not do this.
        NotLegal: it is illegal whoever asks.
    """
    with _refusals(), acting_as(by, writes=True) as connection:
        result = connection.execute(text(_statement(statement)), values)
        rows = list(result) if result.returns_rows else []
        if statement in CHANGES and (rows or not result.returns_rows):
            _note(connection, by, statement, rows, values)
        return rows


def _note(
    connection: Connection, by: Viewer, what: str, rows: list[Row[Any]], values: dict[str, Any]
) -> None:
    account = values.get("account_id") or getattr(rows[0] if rows else None, "account_id", None)
    subject = "a session" if account is None else f"account {account}"
    told = ("role", "branches", "disabled")
    facts = {key: values[key] for key in told if values.get(key) is not None}
    audit.note(audit.viewer(by), "account", subject, on=connection, what=what, **facts)


@contextmanager
def _refusals() -> Iterator[None]:
    """The database's refusal in words."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlstate", None)
        if code == ILLEGAL:
            said = error.orig.diag.message_primary  # type: ignore[union-attr]
            raise NotLegal(str(said)) from None
        if code == FORBIDDEN:
            raise NotAllowed("Only an admin may do this.") from None
        raise
