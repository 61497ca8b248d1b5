"""Sources joined by a query: files, APIs and databases; what is not named is not kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.load import load
from tests.tasks.conftest import Make, counts, findings, rows
from tests.tasks.fix_web import OK, Web
from warehouse.errors import SourceUnavailable, SpecError
from warehouse.settings import settings
from warehouse.spec import Dataset

Source = Callable[..., Dataset]
QUERY = """
select l.id, p."name.first" as name, $mark as mark
from loans l left join people p on p.no = l.who
"""
COLUMNS = {"id": "bigint", "name": "text", "mark": "text"}


@pytest.fixture
def source(make: Make, tmp_path: Path) -> Source:
    """Loans and people in JSON files, joined; `changes` are of the source."""
    for place, content in {
        "loans/a.json": [
            {"id": 1, "who": 7, "secret": "Hush"},  # pragma: allowlist secret
            {"id": 2, "who": 8},
        ],
        "loans/b.json": [{"id": 3, "who": "9"}],
        "people/a.json": {"no": 7, "name": {"first": "Ada", "last": "Byron"}},
    }.items():
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))

    def made(**changes: Any) -> Dataset:
        given = {
            "kind": "joined", "path": None, "query": QUERY, "params": {"mark": "x"},
            "inputs": {
                "loans": {"source": {"kind": "json", "path": str(tmp_path / "loans" / "*.json")},
                          "columns": ["id", "who"]},
                "people": {"source": {"kind": "json", "path": str(tmp_path / "people" / "*.json")},
                           "columns": ["no", "name.first"], "optional": True},
            },
        }  # fmt: skip
        return make(source=given | changes, key=["id"], columns=COLUMNS)

    return made


def test_files_are_joined(source: Source) -> None:
    dataset = source()
    (loaded,) = load(dataset)
    assert rows(dataset) == [(1, "Ada", "x"), (2, None, "x"), (3, None, "x")]
    assert counts(loaded)[:2] == (3, 3)
    assert load(dataset) == []  # nothing is new


def test_what_is_not_named_is_not_kept(source: Source) -> None:
    load(source())
    kept = [p.read_bytes() for p in settings().home.rglob("*") if p.is_file()]
    assert not [text for text in kept if b"Byron" in text or b"Hush" in text]
    assert not list((settings().home / "joined").rglob("*.duckdb*"))


def test_apis_and_databases_are_joined(
    source: Source, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"0": [{"no": "7"}], "1": [{"no": "8", "name": {"first": "Bo"}}]}
    web.pages["/people"] = lambda a: (200, OK, json.dumps(pages.get(a.params["at"], [])).encode())
    with sqlite3.connect(tmp_path / "loans.db") as database:
        database.execute("create table loans (id integer, who integer)")
        database.executemany(
            "insert into loans values (?, ?)", [(n, n % 10) for n in range(25_000)]
        )
    monkeypatch.setenv("CARREL_SECRET_LOANS", f"sqlite:///{tmp_path}/loans.db")
    people = {"kind": "http", "url": f"{web.url}/people", "paging": "offset", "page_param": "at"}
    loans = {"kind": "database", "url": "loans", "query": "select id, who from loans"}
    dataset = source(inputs={
        "loans": {"source": loans, "columns": ["id", "who"]},
        "people": {"source": people, "columns": ["no", "name.first"]},
    })  # fmt: skip
    (loaded,) = load(dataset)
    assert loaded.inserted == 25_000
    assert sum(row[1] == "Bo" for row in rows(dataset)) == 2_500


def test_an_optional_input_may_be_absent(source: Source, web: Web, tmp_path: Path) -> None:
    (tmp_path / "people" / "a.json").unlink()
    dataset = source()
    load(dataset)
    assert {row[1] for row in rows(dataset)} == {None}
    (tmp_path / "loans" / "a.json").unlink()
    (tmp_path / "loans" / "b.json").unlink()
    with pytest.raises(SourceUnavailable, match="no file at"):
        load(dataset)


@pytest.mark.parametrize("optional", [True, False])
def test_a_page_that_is_not_there_is_empty_where_it_may_be(
    optional: bool, source: Source, web: Web
) -> None:
    people = {"source": {"kind": "http", "url": f"{web.url}/gone"}, "columns": ["no"]}
    query = "select no as id, null as name, null as mark from people"
    dataset = source(inputs={"people": people | {"optional": optional}}, query=query, params={})
    if optional:
        load(dataset)
        assert rows(dataset) == []
    else:
        with pytest.raises(SourceUnavailable, match="404"):
            load(dataset)


def test_an_unreadable_record_goes_to_quarantine(source: Source, tmp_path: Path) -> None:
    (tmp_path / "loans" / "c.json").write_text('{"id": 4, "who": 7}\n{"id": 5,\n{"id": 6}\n')
    dataset = source()
    (loaded,) = load(dataset)
    assert (loaded.inserted, loaded.quarantined) == (5, 1)
    ((_, _, rule, _, value),) = findings(dataset)
    assert rule == "unreadable"
    assert value.startswith("loans: ")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("select id, name from loans", "query: Binder Error"),
        ("select id, id from loans", "finds id twice"),
        ("create table x (y int)", "no single select"),
        ("select 1 as id; select 2 as id", "no single select"),
        ("select * from read_csv('/etc/passwd')", "query: Permission Error"),
        ("copy loans to '/tmp/out.csv'", "no single select"),
        ("set enable_external_access = true", "no single select"),
    ],
)
def test_a_wrong_query_is_named_and_reads_nothing_else(
    query: str, named: str, source: Source
) -> None:
    with pytest.raises(SpecError, match=named):
        load(source(query=query, params={}))
