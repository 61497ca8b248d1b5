"""Held-back records opened for one admin, edited, and sent again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tasks.ledger import begin, only_run
from tasks.load import bring_in, load
from tasks.repair import as_export, open_records
from tasks.replay import sent_again
from tests.tasks.conftest import Make, rows
from warehouse.access import Viewer, acting_as
from warehouse.database import connect, engine
from warehouse.errors import ConfigurationError
from warehouse.settings import settings
from warehouse.spec import Dataset

WHO, OTHER = "a@carrel.example", "b@carrel.example"
COLUMNS: dict[str, Any] = {
    "id": "bigint",
    "person": {"type": "text", "privacy": "personal", "allowed": ["Ada", "Bo"]},
    "n": {"type": "integer", "from": "How many"},
}
FILE = (
    "id,person,How many\n1,Ada,1\n2,Bo,many\n3,Eve,=3\n4,Ada,5,more\n5,Cy,5\n"
    '6,Bo,"two\nlines, ""q"""\n'
)


@pytest.fixture
def things(make: Make, tmp_path: Path) -> Dataset:
    """A dataset that holds back lines 3, 4, 5 (of another shape), 6 (a private value) and 7."""
    dataset = make(columns=COLUMNS, key=["id"])
    path = tmp_path / "things.csv"
    path.write_text(FILE)
    load(dataset, path)
    return dataset


def asked(dataset: Dataset, action: str, who: str = WHO, **detail: Any) -> int:
    with connect() as connection:
        row = connection.execute(
            "insert into app.requests (asked_by, action, subject, detail) values (%s, %s, %s, %s)"
            " returning request_id", [who, action, dataset.table, Jsonb(detail)],
        ).fetchone()  # fmt: skip
    assert row
    return int(row[0])


def opened(dataset: Dataset, rule: str | None = None) -> int:
    """Open the records; the request under which they lie."""
    request = asked(dataset, "open")
    with connect() as connection:
        open_records(connection, dataset, request, WHO, rule)
    return request


def seen(
    viewer: Viewer, query: str = "select line_no, cells from app.held_records order by 1"
) -> Any:
    with acting_as(viewer, writes=True) as connection:
        result = connection.execute(text(query))
        return [tuple(r) for r in result] if result.returns_rows else result.rowcount


def edit(request: int, line: int, **cells: str) -> None:
    with connect() as connection:
        connection.execute(
            "update app.held_records set edited = %s where request_id = %s and line_no = %s",
            [Jsonb({k.replace("_", " "): v for k, v in cells.items()}), request, line],
        )


def send(dataset: Dataset, request: int) -> tuple[int, int]:
    """Send again what was edited; records inserted and held back."""
    with only_run(dataset), as_export(dataset, request) as path:
        assert path.stat().st_mode & 0o077 == 0
        (arrival,) = sent_again(dataset, path).arrivals
        loaded = bring_in(dataset, arrival, begin(dataset, arrival))
    return loaded.inserted, loaded.quarantined


def test_only_the_asker_reads_them_and_no_private_value(things: Dataset) -> None:
    opened(things)
    found = dict(seen(Viewer(WHO, "admin")))
    assert found[3] == [["id", "2", ""], ["How many", "many", "type"]]
    assert set(found) == {3, 4, 6, 7}  # 5 is of another shape
    assert "person" not in str(found)
    assert "Eve" not in str(found)
    assert seen(Viewer(OTHER, "admin")) == []
    assert seen(Viewer(OTHER, "admin"), "update app.held_records set edited = '{}'") == 0
    assert seen(Viewer(OTHER, "admin"), "delete from app.held_records") == 0
    for viewer in (Viewer(WHO, "librarian"), Viewer(WHO, "member", (), "a" * 32)):
        with pytest.raises(ProgrammingError, match="permission denied"):
            seen(viewer)
    with pytest.raises(ProgrammingError, match="permission denied"):
        seen(Viewer(WHO, "admin"), "update app.held_records set asked_by = 'b'")
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        engine("app").connect() as connection,
    ):
        connection.execute(text("select 1 from app.held_records"))


def test_edited_records_are_sent_again_and_put_away(things: Dataset) -> None:
    request = opened(things)
    edit(request, 3, How_many="22")
    edit(request, 7, How_many="'=7")
    replay = asked(things, "replay", of=request)
    assert send(things, replay) == (1, 1)
    assert (2, "Bo", 22) in rows(things)
    with connect() as connection:
        assert connection.execute("select 1 from app.held_records").fetchall() == []
        (kept,) = connection.execute(
            "select detail -> 'edited' from app.requests where request_id = %s", [replay]
        ).fetchall()
    assert kept[0] == [[1, 3, ["How many"]], [1, 7, ["How many"]]]
    assert list((settings().home / "spool").glob("repair_*")) == []
    opened(things)  # what is still bad lies in the replay's load, and says what was sent
    assert [["id", "6", ""], ["How many", "'=7", "type"]] in dict(
        seen(Viewer(WHO, "admin"))
    ).values()


@pytest.mark.parametrize("cells", [{"person": "Ada"}, {"How_many": "9" * 3000}, {"no_such": "x"}])
def test_only_cells_that_were_shown_are_taken(things: Dataset, cells: dict[str, str]) -> None:
    request = opened(things)
    edit(request, 3, **cells)
    with pytest.raises(ConfigurationError, match="cannot be edited"):
        send(things, asked(things, "replay", of=request))
    assert len(rows(things)) == 1
    assert len(seen(Viewer(WHO, "admin"))) == 4  # still open, to be mended


def test_nobody_sends_what_another_opened(things: Dataset) -> None:
    request = opened(things)
    edit(request, 3, How_many="22")
    with pytest.raises(ConfigurationError, match="No cell"):
        send(things, asked(things, "replay", OTHER, of=request))
    with pytest.raises(ConfigurationError, match="sends no records"):
        send(things, request)


def test_a_rule_chooses(things: Dataset) -> None:
    opened(things, "allowed")
    assert [line for line, _ in seen(Viewer(WHO, "admin"))] == [4, 6]
    with pytest.raises(ConfigurationError, match="no record"):
        opened(things, "no such rule")


def test_publishing_needs_a_reason_also_in_sql(things: Dataset) -> None:
    for detail in ({}, {"reason": " "}):
        with pytest.raises(psycopg.errors.CheckViolation):
            asked(things, "publish", **detail)
