"""Each error is of one kind, and is told without the values of a row."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from warehouse import errors
from warehouse.database import connect
from warehouse.errors import (
    CarrelError,
    LoadFailed,
    QualityFailed,
    SourceMalformed,
    SourceUnavailable,
    category,
    said,
)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def refused(statement: str) -> psycopg.Error:
    """What the database says to a statement."""
    with pytest.raises(psycopg.Error) as found, connect() as connection:
        connection.execute(statement.encode())
    return found.value


def test_the_kinds_of_faults(database: str) -> None:
    away = psycopg.OperationalError("connection refused")
    row = refused("select 'ada@example.org'::bigint")
    stopped = refused("set statement_timeout = 1; select pg_sleep(1)")
    found = {
        category(error)
        for error in (
            away,
            stopped,
            OSError("disk full"),
            CarrelError("x"),
            caused(LoadFailed("x"), away),
            caused(LoadFailed("x"), DBAPIError("select", {}, stopped)),
        )
    }
    assert found == {"infrastructure"}
    assert category(row) == category(caused(LoadFailed("x"), row)) == "load"
    assert category(LoadFailed("the counts do not add up")) == "load"
    assert category(caused(SourceUnavailable("their server"), away)) == "source"
    assert category(SourceMalformed("a.csv", "no column")) == "schema"
    assert category(QualityFailed("x")) == "validation"


def test_every_error_has_a_kind() -> None:
    kinds = {
        c.category
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, CarrelError)
    }
    assert kinds == {"source", "schema", "validation", "load", "infrastructure"}


def test_what_is_said_quotes_no_row(database: str) -> None:
    row = refused("select 'ada@example.org'::bigint")
    assert said(row) == "InvalidTextRepresentation"
    assert said(DBAPIError("select", {}, row)) == "InvalidTextRepresentation"
    assert said(OSError("one\ntwo")) == "OSError: one"
    assert said(LoadFailed("x.", remedy="y.")) == "LoadFailed: x. y."
