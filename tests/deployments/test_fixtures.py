"""The fixtures do what they say."""

import time

import pytest

from warehouse.database import connect, engine
from warehouse.settings import settings


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_database_is_fresh(database: str, turn: int) -> None:
    with connect() as opened:
        opened.execute("create table silver.left_behind (i integer)")
    assert settings().database == database


@pytest.mark.parametrize("turn", [1, 2])
def test_connection_leaves_nothing(connection, turn: int) -> None:
    connection.execute("create table silver.left_behind (i integer)")


def test_owner_is_no_superuser(connection) -> None:
    query = "select rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname = current_user"
    assert connection.execute(query).fetchone() == (False, True, True)


def test_engine_of_each_login(database: str) -> None:
    for login in ("owner", "app", "admin", "librarian", "member"):
        with engine(login).begin() as opened:
            found = opened.exec_driver_sql("select session_user").scalar()
        assert found == settings().login(login)


def test_prefect_flow(prefect_server: None) -> None:
    from prefect import flow

    @flow
    def nothing() -> int:
        return 1

    began = time.monotonic()
    assert nothing() == 1
    assert time.monotonic() - began < 10
