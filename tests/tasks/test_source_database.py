"""Other databases: SQLite, PostgreSQL, MariaDB; whole and by a cursor; read only; after kills."""

from __future__ import annotations

import datetime as dt
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from sqlalchemy import make_url

from tasks.load import load
from tasks.rebuild import rebuild
from tasks.sources.database import CASTS, ROWS, one_select, read
from tests.fix_warehouse import NUMBERS, copied
from tests.tasks.conftest import Make, ask, counts, findings, rows
from tests.tasks.fix_kill import Point, killed
from tests.tasks.fix_mariadb import mariadb
from warehouse.errors import (
    CircuitBreakerOpen,
    ConfigurationError,
    SourceUnavailable,
    SpecError,
)
from warehouse.settings import settings
from warehouse.spec import Dataset

__all__ = ["mariadb"]
Source = Callable[..., Dataset]
Run = Callable[..., None]
REPOSITORY = Path(__file__).parents[2]
COLUMNS = {"id": "bigint", "name": {"type": "text", "clean": []}, "changed_at": "timestamp"}
QUERY = "select id, name, changed_at from things where :cursor is null or changed_at >= :cursor"
CURSOR = {"query": QUERY, "cursor": "changed_at", "overlap": "1 hour"}
TABLE = "create table things (id integer, name varchar(99), changed_at {})"


@pytest.fixture
def source(make: Make, monkeypatch: pytest.MonkeyPatch, setting: Any) -> Source:
    setting(remote_wait_s=0.01)

    def made(url: str, query: str, name: str = "things", **changes: Any) -> Dataset:
        monkeypatch.setenv("CARREL_SECRET_OTHER", url)
        columns, mode = changes.pop("columns", COLUMNS), changes.pop("mode", "merge")
        settings_of = {"kind": "database", "path": None, "url": "other", "query": query}
        return make(name, source=settings_of | changes, key=["id"], columns=columns, mode=mode)

    return made


@pytest.fixture
def sqlite(tmp_path: Path) -> tuple[str, Run]:
    path = tmp_path / "other file.db"

    def run(statement: str, *values: Any) -> None:
        with sqlite3.connect(path) as connection:
            connection.executemany(statement, values or [()])
        connection.close()

    return f"sqlite:///{path}", run


@pytest.fixture
def postgresql(template: str) -> Iterator[tuple[str, Run]]:
    """A database of another kind of house, in the tests' PostgreSQL."""
    name = f"other_{next(NUMBERS)}"
    with copied(name, "template1"):
        url = settings().url().set(database=name, drivername="postgresql")
        shown = url.render_as_string(hide_password=False)

        def run(statement: str, *values: Any) -> None:
            with psycopg.connect(shown) as connection:
                connection.cursor().executemany(statement.replace("?", "%s"), values or [()])

        yield shown, run


@pytest.fixture
def maria(mariadb: str) -> tuple[str, Run]:
    url = make_url(mariadb)

    def run(statement: str, *values: Any) -> None:
        with (
            pymysql.connect(host=url.host, port=url.port, user="root", autocommit=True) as opened,
            opened.cursor() as cursor,
        ):
            cursor.execute("use other")
            cursor.executemany(statement.replace("?", "%s"), values or [()])

    run("drop database other")
    with pymysql.connect(host=url.host, port=url.port, user="root") as opened:
        opened.cursor().execute("create database other character set utf8mb4")
    return mariadb, run


@pytest.fixture(params=["sqlite", "postgresql", "maria"])
def other(request: pytest.FixtureRequest) -> tuple[str, Run]:
    found: tuple[str, Run] = request.getfixturevalue(request.param)
    url, run = found
    run(TABLE.format("timestamp" if "postgresql" in url else "datetime"))
    return found


def at(day: int, hour: int = 0) -> str:
    return f"2024-03-{day:02} {hour:02}:00:00"


def table(dataset: Dataset) -> list[dict[str, Any]]:
    return [found for part in read(dataset, None) for found in part.to_pylist()]


def test_all_rows_load(other: tuple[str, Run], source: Source) -> None:
    url, run = other
    run("insert into things values (?, ?, ?)", (1, "ä ''\n\U0001f4a1", at(1)), (2, None, None))
    dataset = source(url, "select * from things;", mode="snapshot")
    assert [counts(r)[:2] for r in load(dataset)] == [(2, 2)]
    assert rows(dataset) == [(1, "ä ''\n\U0001f4a1", dt.datetime(2024, 3, 1)), (2, None, None)]
    assert load(dataset) == []
    run("delete from things where id = 2")
    assert [counts(r)[3] for r in load(dataset)] == [1]
    run("insert into things values (2, null, null)")
    load(dataset)
    assert len(rows(dataset)) == 2


def test_only_what_changed_is_read(other: tuple[str, Run], source: Source) -> None:
    url, run = other
    run("insert into things values (?, ?, ?)", (1, "a", at(1)), (2, "b", at(2)), (3, "c", at(2, 1)))
    dataset = source(url, **CURSOR)
    assert [counts(r)[:2] for r in load(dataset)] == [(3, 3)]
    run("update things set name = 'z', changed_at = '2024-03-09 00:00:00' where id = 1")
    run("insert into things values (?, ?, ?)", (4, "late", at(2)), (5, "too late", at(1, 23)))
    assert sorted(r["id"] for r in table(dataset)) == [1, 2, 3, 4]
    assert [counts(r)[:3] for r in load(dataset)] == [(4, 1, 1)]
    assert [r[:2] for r in rows(dataset)] == [(1, "z"), (2, "b"), (3, "c"), (4, "late")]


def test_what_was_held_back_earlier_stays(sqlite: tuple[str, Run], source: Source) -> None:
    url, run = sqlite
    run(TABLE.format("datetime"))
    run(
        "insert into things values (?, ?, ?)", ("x", "a", at(1)), (2, "b", at(1)), ("y", "c", at(2))
    )
    dataset = source(url, **CURSOR)
    assert counts(load(dataset)[0]) == (3, 1, 0, 0, 0, 2, 0)
    run("insert into things values (?, ?, ?)", (4, "d", at(3)), ("z", "e", at(1, 1)))
    assert counts(load(dataset)[0]) == (5, 1, 0, 0, 1, 3, 0)  # what comes again is held once
    run("insert into things values (?, ?, ?)", (5, "f", at(4)))
    assert counts(load(dataset)[0]) == (2, 1, 0, 0, 1, 0, 0)  # the others are not told again
    held = [("x",), ("y",), ("z",)]
    assert sorted(f[-1:] for f in findings(dataset)) == held
    rebuild(dataset)
    assert sorted(f[-1:] for f in findings(dataset)) == held


@pytest.mark.parametrize(
    ("kind", "marks", "overlap"),
    [
        ("bigint", (5, 10**15), "100"),
        ("numeric", (Decimal("5.5"), Decimal("1000.25")), "0"),
        ("double", (0.5, 1e20), "0"),
        ("date", (dt.date(2024, 1, 1), dt.date(2024, 2, 1)), "36 hours"),
        ("text", ("a", "b"), "0 days"),
    ],
)
def test_a_cursor_may_have_any_type(
    kind: str, marks: Any, overlap: str, postgresql: tuple[str, Run], source: Source
) -> None:
    url, run = postgresql
    run(f"create table things (id integer, mark {CASTS[kind]})")
    run("insert into things values (?, ?)", *enumerate(marks, 1))
    columns = {"id": "bigint", "mark": kind}
    query = "select * from things where :cursor is null or mark >= :cursor"
    dataset = source(url, query, columns=columns, cursor="mark", overlap=overlap)
    load(dataset)
    assert [r["id"] for r in table(dataset)] == [2]


def test_types_of_postgresql_stay(postgresql: tuple[str, Run], source: Source) -> None:
    query = """
    select 12345678901234567890.1234567890::numeric as exact, true as yes, null::boolean as unknown,
        date '2024-02-29' as day, timestamp '2024-02-29 01:02:03.000004' as at,
        timestamptz '2024-02-29 01:00+05' as zoned, '\\x00ff'::bytea as raw,
        9223372036854775807 as big, 'infinity'::date as never, date '0044-03-15 BC' as ides,
        '{"a": [1, null]}'::jsonb as parts, array[1, 2] as list, interval '-90 minutes' as span,
        '5d3ad6e6-0000-0000-0000-000000000001'::uuid as id, time '09:30' as hour,
        'NaN'::numeric as nan
    """
    (found,) = table(source(postgresql[0], query))
    assert found["exact"] == "12345678901234567890.1234567890"
    assert (found["yes"], found["unknown"]) == ("true", None)
    assert (found["day"], found["at"]) == ("2024-02-29", "2024-02-29 01:02:03.000004")
    assert found["zoned"] == "2024-02-28 20:00:00"
    assert (found["raw"], found["big"]) == (b"\x00\xff", 2**63 - 1)
    assert (found["never"], found["ides"]) == ("infinity", "0044-03-15 BC")
    assert (found["parts"], found["list"]) == ('{"a": [1, null]}', "[1, 2]")
    assert (found["span"], found["hour"], found["nan"]) == ("-01:30:00", "09:30:00", "NaN")
    assert found["id"] == "5d3ad6e6-0000-0000-0000-000000000001"


def test_types_of_mariadb_stay(maria: tuple[str, Run], source: Source) -> None:
    url, run = maria
    run(
        "create table kinds (exact decimal(30,10), yes boolean, day date, at datetime(6),"
        " raw blob, big bigint unsigned, span time, flags bit(3), word varchar(20))"
    )
    run(
        "insert into kinds values (12345678901234567890.123456789, true, '2024-02-29',"
        " '2024-02-29 01:02:03.000004', x'00ff', 18446744073709551615,"
        " '-101:30:00', b'101', '\U0001f4a1')"
    )
    run("set sql_mode = ''")
    (found,) = table(source(url, "select * from kinds"))
    assert found["exact"] == "12345678901234567890.1234567890"
    assert (found["yes"], found["day"]) == (1, "2024-02-29")
    assert found["at"] == "2024-02-29 01:02:03.000004"
    assert (found["raw"], str(found["big"])) == (b"\x00\xff", "18446744073709551615")
    assert (found["span"], found["flags"], found["word"]) == ("-101:30:00", 5, "\U0001f4a1")


def test_sqlite_may_hold_anything_in_any_column(sqlite: tuple[str, Run], source: Source) -> None:
    url, run = sqlite
    run("create table things (id, v)")
    run("insert into things values (?, ?)", (1, 5), (2, "five"), (3, b"\xff"), (4, None), (5, 1.5))
    run("insert into things values (6, cast(x'ff' as text))")
    assert [r["v"] for r in table(source(url, "select * from things order by id"))] == [
        "5",
        "five",
        "\ufffd",
        None,
        "1.5",
        "\ufffd",
    ]


def test_parameters_are_bound(other: tuple[str, Run], source: Source) -> None:
    url, run = other
    word = "x' or '1'='1"
    run("insert into things values (?, ?, ?)", (1, word, None), (2, "b", None))
    query = "select * from things where name = :word and id < :most"
    assert [r["id"] for r in table(source(url, query, params={"word": word, "most": 9}))] == [1]


WRITES = [
    "delete from things",
    "select 1; delete from things",
    "with gone as (delete from things returning *) select * from gone",
    "select * into copied from things",
    "select 1 into outfile '/tmp/carrel_outfile'",
    "/*! delete from things */ select 1",
    "select 1 /*! into outfile '/tmp/carrel_outfile' */",
    "explain select 1",
    "",
]


@pytest.mark.parametrize("query", WRITES)
@pytest.mark.parametrize("dialect", ["mysql", "postgresql", "sqlite"])
def test_what_is_no_single_select_is_refused(query: str, dialect: str) -> None:
    assert one_select(query, dialect) or (dialect != "mysql" and "/*!" in query)


def test_mysql_cannot_hide_a_statement() -> None:
    for query in (
        r"select '\''; delete from things -- '",
        "select 1 # it's\n into outfile 'x' -- '",
        "select 1--1 into outfile 'x'",
    ):
        assert one_select(query, "mysql")


@pytest.mark.parametrize(
    "query",
    [
        "select 'a; delete' as \"insert\", 1 -- ; drop\n;",
        "(select 1) union /* delete */ select 2",
        "WITH a AS (SELECT 1 AS updated_at) SELECT * FROM a",
    ],
)
def test_a_select_passes(query: str) -> None:
    assert [one_select(query, d) for d in ("mysql", "postgresql", "sqlite")] == [None] * 3


@pytest.mark.parametrize("kind", ["postgresql", "maria"])  # SQLite's selects call nothing
def test_the_session_cannot_write(
    kind: str, request: pytest.FixtureRequest, source: Source
) -> None:
    url, run = request.getfixturevalue(kind)
    run(TABLE.format("timestamp"))
    run("insert into things values (1, 'a', null)")
    if "postgresql" in url:
        run("create function grab() returns int language sql as 'delete from things returning 1'")
    else:
        run("create sequence grab")
    call = "nextval(grab)" if "mysql" in url else "grab()"
    with pytest.raises(SourceUnavailable, match=r"(?i)read.only"):
        table(source(url, f"select {call} as id"))
    assert len(table(source(url, "select * from things", "others"))) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": "select 1 as id; select 2"}, "more than one statement"),
        ({"query": "select :what as id"}, "lacks what"),
        ({"query": "select 1 as id", "params": {"what": 1}}, "does not use :what"),
        ({"query": "select 1 as id where :cursor is null"}, "names no column"),
        ({"query": QUERY, "cursor": "nothing"}, "no column of silver"),
        ({"query": QUERY, "cursor": "changed_at", "overlap": "a while"}, "no span"),
        ({"query": "select 1 as id, 2 as id"}, "id twice"),
        ({"query": QUERY, "cursor": "changed_at", "mode": "snapshot"}, "needs every row"),
    ],
)
def test_a_wrong_spec_is_named(
    changes: Any, message: str, sqlite: tuple[str, Run], source: Source
) -> None:
    url, run = sqlite
    run(TABLE.format("datetime"))
    with pytest.raises(SpecError, match=rf"things.yml.*{message}"):
        table(source(url, **changes))


def test_a_wrong_query_is_named(other: tuple[str, Run], source: Source) -> None:
    with pytest.raises(SourceUnavailable, match=r"refuses the query: .*nowhere.*things\.yml"):
        table(source(other[0], "select * from nowhere"))
    assert ask("select * from ops.breakers where failures > 0") == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "oracle://u:s3cret@h/d",  # pragma: allowlist secret
        "postgresql://u:s3cret@h:x/d",  # pragma: allowlist secret
    ],
)
def test_a_wrong_url_is_named_without_its_secret(url: str, source: Source) -> None:
    with pytest.raises(ConfigurationError) as error:
        table(source(url, "select 1 as id"))
    assert "s3cret" not in str(error.value)


def test_a_missing_file_is_not_made(tmp_path: Path, source: Source) -> None:
    with pytest.raises(SourceUnavailable, match="no such database"):
        table(source(f"sqlite:///{tmp_path}/none.db", "select 1 as id"))
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_host_that_is_down_is_tried_again_then_left_alone(
    scheme: str, source: Source, setting: Any
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        setting(remote_attempts=3, breaker_failures=3)
        dataset = source(f"{scheme}://u:s3cret@127.0.0.1:{port}/d", "select 1 as id")
        with pytest.raises(SourceUnavailable, match="cannot be reached") as error:
            table(dataset)
        assert "s3cret" not in f"{error.value}"
        assert ask("select host, state, failures from ops.breakers") == [
            (f"127.0.0.1:{port}", "open", 3)
        ]
        with pytest.raises(CircuitBreakerOpen):
            table(dataset)


def test_a_wrong_password_is_tried_once(postgresql: tuple[str, Run], source: Source) -> None:
    url = make_url(postgresql[0]).set(password="s3cret").render_as_string(hide_password=False)
    with pytest.raises(SourceUnavailable, match="refuses") as error:
        table(source(url, "select 1 as id"))
    assert "s3cret" not in f"{error.value}"
    assert ask("select * from ops.breakers where failures > 0") == []


MEASURED = """
import resource, sys
from pathlib import Path
from tasks.sources.database import read
from warehouse.spec import read_spec
import psycopg, pymysql
tables = read(read_spec(Path(sys.argv[1])), None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(t.num_rows for t in tables)
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", ["postgresql", "maria"])
def test_memory_stays_flat(kind: str, request: pytest.FixtureRequest, source: Source) -> None:
    url, _ = request.getfixturevalue(kind)
    many = 20 * ROWS
    series = f"generate_series(1, {many})" if kind == "postgresql" else f"seq_1_to_{many}"
    column = "i" if kind == "postgresql" else "seq"
    query = f"select {column} as id, repeat('x', 1000) as name from {series} as s({column})"
    if kind == "maria":
        query = query.replace("s(seq)", "s")
    dataset = source(url, query)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(dataset.path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    read_rows, grown_mb = map(int, done.stdout.split())
    assert read_rows == many
    assert grown_mb < 100, "200 MB were read"


LOAD = """
from tasks.load import load
load(read_spec(Path(given[0])))
"""


@pytest.mark.parametrize("point", [("tasks.spool", "plain", 3), ("tasks.merge", "merge_into", 1)])
def test_the_run_after_a_kill_is_right(
    point: Point, sqlite: tuple[str, Run], source: Source
) -> None:
    url, run = sqlite
    run(TABLE.format("datetime"))
    run("insert into things values (?, ?, ?)", (1, "a", at(1)), (2, "b", at(2)))
    dataset = source(url, **CURSOR)
    load(dataset)
    run("insert into things values (?, ?, ?)", *((n, "new", at(3)) for n in range(3, 25_003)))
    assert killed(point, LOAD, dataset.path)
    assert len(rows(dataset)) == 2
    run("update things set name = 'changed', changed_at = '2024-03-04 00:00:00' where id = 3")
    load(dataset)
    kept = rows(dataset)
    assert len(kept) == 25_002
    assert (3, "changed", dt.datetime(2024, 3, 4)) in kept
    assert ask("select state from ops.loads where state in ('landing', 'landed')") == []
    assert list((settings().home / "spool").glob(f"{dataset.table}.*")) == []
