"""Statements about accounts: as the app's own login, or as the viewer who asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError

from warehouse.access import Viewer, acting_as
from warehouse.database import engine
from warehouse.errors import ConfigurationError

ILLEGAL, FORBIDDEN = "CA001", "42501"  # what our functions refuse with; what PostgreSQL does


@cache
def _statement(name: str) -> str:
    return (Path(__file__).parent / f"{name}.sql").read_text("utf-8")


def run(statement: str, /, **values: Any) -> list[Row[Any]]:
    """Run `<statement>.sql` as the app's login, in a transaction of its own; return its rows."""
    with engine("app").begin() as connection:
        result = connection.execute(text(_statement(statement)), values)
        return list(result) if result.returns_rows else []


def run_as(by: Viewer, statement: str, /, **values: Any) -> list[Row[Any]]:
    """Run `<statement>.sql` as the viewer, whom the database lets do what their role may.

    Raises:
        ConfigurationError: the role may not do this, or it is illegal whoever asks.
    """
    with _refusals(), acting_as(by, writes=True) as connection:
        result = connection.execute(text(_statement(statement)), values)
        return list(result) if result.returns_rows else []


@contextmanager
def _refusals() -> Iterator[None]:
    """The database's refusal in words."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlstate", None)
        if code == ILLEGAL:
            said = error.orig.diag.message_primary  # type: ignore[union-attr]
            raise ConfigurationError(str(said)) from None
        if code == FORBIDDEN:
            raise ConfigurationError("Only an admin may do this.") from None
        raise
