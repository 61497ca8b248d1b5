"""A stream of one's own is a YAML file in the project folder, and nothing elsewhere."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from typer.testing import CliRunner

from deployments.cli import app
from tasks.stream.consume import consume
from tasks.stream.rebuild import rebuild, restate
from tests.fix_stream import ask, fates, running, send, until
from warehouse import streams
from warehouse.access import Role, Viewer, acting_as
from warehouse.database import connect
from warehouse.errors import SpecError
from warehouse.migrate import migrate
from warehouse.pseudonyms import pseudonym
from warehouse.settings import ROOT
from warehouse.streams import Stream, stream

SPEC = Path(__file__).with_name("visits.yml").read_text("utf-8")
SUMS = "select value, counts, visits, warmth from silver.library_visits_by where dimension = '{}'"


@pytest.fixture
def written(database: str, setting: Callable[..., None], tmp_path: Path) -> Path:
    """Where the spec stands; nothing else knows the stream yet."""
    path = tmp_path / "project/streams/library/visits.yml"
    path.parent.mkdir(parents=True)
    path.write_text(SPEC, "utf-8")
    setting(project=tmp_path / "project", stream_log=tmp_path / "log", stream_lease_s=1)
    return path


@pytest.fixture
def visits(written: Path) -> Stream:
    """The stream of visits, migrated."""
    migrate()
    return stream("library_visits")


def count(number: int, door: str = "north", minute: int = 0, **more: Any) -> str:
    """A count of a door, so many minutes after noon in New York."""
    at = f"2026-07-04T12:{minute:02}:00-04:00"
    return json.dumps({"event_id": f"v{number}", "at": at, "door": door, "people": 2} | more)


def produce(*words: str) -> Result:
    """`carrel produce`, for the stream of visits."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return CliRunner().invoke(app, ["produce", *words, "--stream", "library_visits"])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_it_has_all_that_a_stream_has(visits: Stream, tmp_path: Path) -> None:
    lines = [
        count(1, degrees=20.5, card="17"), count(2, "south", people=3), count(2, "south"),
        count(3, minute=30), count(4, minute=5), "{half", count(5, people=5000),
    ]  # fmt: skip
    path = tmp_path / "counts.jsonl"
    path.write_text("\n".join([*lines, "", ""]), "utf-8")
    assert produce(str(path)).stdout == "7 sent\n"
    consume(visits, once=True)
    assert fates() == {
        "events": 7, "counted": 3, "late": 1, "duplicates": 1, "quarantined": 2,
    }  # fmt: skip
    assert ask(SUMS.format("door") + " order by 1") == [
        ("north", 2, 4, Decimal("41.0000")), ("south", 1, 3, 0),
    ]  # fmt: skip
    assert ask(SUMS.format("hour")) == [("12", 3, 7, Decimal("41.0000"))]
    assert ask("select event_id from silver.library_visits_late") == [("v4",)]
    people = ask("select value from silver.library_visits_by_person order by visits")
    assert set(people) == {(pseudonym("17"),), ("(none)",)}
    assert rebuild(visits).differing == 0
    assert restate(visits) == 1
    assert rebuild(visits).differing == 0
    assert ask(SUMS.format("total")) == [("all", 4, 9, Decimal("41.0000"))]


def test_viewers_see_what_its_access_says(visits: Stream) -> None:
    with acting_as(Viewer("lin@desk.example", "librarian")) as connection:
        assert connection.execute(text("select * from silver.library_visits_by")).fetchall() == []
    hidden: list[tuple[Role, str]] = [
        ("member", "select 1 from silver.library_visits_by"),
        ("librarian", "select value from silver.library_visits_by_person"),
        ("admin", "select 1 from bronze.library_visits"),
    ]
    for role, query in hidden:
        with (
            acting_as(Viewer("lin@desk.example", role)) as connection,
            pytest.raises(ProgrammingError, match="permission denied"),
        ):
            connection.execute(text(query))


def test_whole_numbers_stay_whole(visits: Stream) -> None:
    kinds = dict(ask(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'silver.library_visits_by'::regclass and attnum > 0"
    ))  # fmt: skip
    assert (kinds["counts"], kinds["visits"], kinds["warmth"]) == ("bigint", "bigint", "numeric")


@pytest.mark.parametrize(
    ("access", "fault"), [("branch: door", "branch"), ("member: member_key", "member")]
)
def test_rows_by_branch_or_member_are_refused(written: Path, access: str, fault: str) -> None:
    """Sums have no such column."""
    written.write_text(SPEC.replace("staff: true", access), "utf-8")
    with pytest.raises(SpecError, match=f"{fault}.*staff or public"):
        stream("library_visits")


def test_sales_are_not_sent_into_it(visits: Stream) -> None:
    for words in ([], [str(ROOT)]):
        done = produce(*words)
        assert done.exit_code == 2
        assert "takes no sales" in done.stderr


def test_a_file_is_sent_up_to_the_line_that_is_none(visits: Stream, tmp_path: Path) -> None:
    path = tmp_path / "counts.jsonl"
    path.write_text("\n".join([count(1), count(2), "x" * 1_000_001, count(3)]), "utf-8")
    assert f"{path}, line 3: is longer than 1,000,000 bytes" in produce(str(path)).stderr
    path.write_text("\n".join(count(n) for n in range(5)), "utf-8")
    assert produce(str(path), "--count", "4").stdout == "4 sent\n"
    consume(visits, once=True)
    assert fates() == {
        "events": 6, "counted": 4, "late": 0, "duplicates": 2, "quarantined": 0,
    }  # fmt: skip
    done = produce(str(tmp_path / "none.jsonl"))
    assert (done.exit_code, "cannot be read: No such file" in done.stderr) == (3, True)


def test_a_pipe_is_sent_as_it_comes(visits: Stream) -> None:
    command = [sys.executable, "-m", "deployments", "produce", "-", "--stream", "library_visits"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as sender:
        assert sender.stdin
        for number in range(2):
            sender.stdin.write(count(number).encode() + b"\n")
            sender.stdin.flush()
            until(lambda number=number: _consumed(visits) == number + 1)
        sender.stdin.close()
        assert sender.wait(30) == 0


def _consumed(subject: Stream) -> int:
    consume(subject, once=True)
    return fates()["counted"]


# A spec that changes while a consumer runs ----------------------------------------------------


@pytest.fixture
def consumed(visits: Stream) -> Iterator[Stream]:
    """The stream, and a consumer of it that goes on."""
    with running(visits):
        yield visits


def test_a_running_consumer_goes_by_a_changed_spec_after_it_was_migrated(
    consumed: Stream, written: Path
) -> None:
    send(consumed, count(1).encode())
    until(lambda: fates()["counted"] == 1)
    changed = SPEC.replace("maxLength: 20, description: Which", "maxLength: 30, description: Which")
    changed = changed.replace(
        "measures:\n", 'measures:\n  - {name: odd, sum: "people % 2", meaning: Odd}\n'
    )
    changed = changed.replace(
        "dimensions:\n", 'dimensions:\n  - {name: side, by: "left(door, 1)", meaning: Side}\n'
    )
    written.write_text("title: [", "utf-8")
    with connect() as connection:
        streams.send_back(connection, consumed)
    send(consumed, count(2).encode())
    until(lambda: fates()["counted"] == 2)
    written.write_text(changed, "utf-8")
    migrate()
    send(consumed, count(3, "x" * 25, people=3).encode())
    until(lambda: fates()["counted"] == 3)
    side = "select value, visits, odd from silver.library_visits_by where dimension = 'side'"
    assert ask(side) == [("x", 3, 1)]
    new = stream("library_visits")
    assert rebuild(new).differing > 0
    assert set(ask(side)) == {("n", 4, 0), ("x", 3, 1)}
    send(consumed, count(4, people=1).encode())
    until(lambda: fates()["counted"] == 4)
    assert set(ask(side)) == {("n", 5, 1), ("x", 3, 1)}
    assert rebuild(new).differing == 0


def test_a_running_consumer_keeps_to_its_topic(consumed: Stream, written: Path) -> None:
    """What is left in it must not be forgotten."""
    send(consumed, count(1).encode())
    until(lambda: fates()["counted"] == 1)
    written.write_text(SPEC.replace("topic: library_visits", "topic: doors"), "utf-8")
    migrate()
    send(consumed, count(2).encode())
    until(lambda: fates()["counted"] == 2)
    assert ask("select distinct topic from bronze.library_visits") == [("library_visits",)]


def test_what_was_under_way_by_the_old_spec_is_not_written(consumed: Stream, written: Path) -> None:
    """Without a migration: a rebuild alone, while events flow, leaves no sum short."""
    lines = [count(n, door=f"d{n % 7}") for n in range(4000)]
    for number in range(0, 4000, 500):
        send(consumed, *(line.encode() for line in lines[number : number + 500]))
        if number == 1500:
            new = SPEC.replace(
                "dimensions:\n",
                'dimensions:\n  - {name: seven, by: "right(door, 1)", meaning: Number}\n',
            )
            written.write_text(new, "utf-8")
            rebuild(stream("library_visits"))
    until(lambda: fates()["events"] == 4000)
    assert sum(n for _, n, *_ in ask(SUMS.format("seven"))) == 4000
    assert rebuild(stream("library_visits")).differing == 0


def test_the_example_of_the_documentation_holds(written: Path, tmp_path: Path) -> None:
    """Its YAML, its message and its question, as they stand in docs/stream.md."""
    told = (ROOT / "docs/stream.md").read_text("utf-8").partition("## A stream of your own")[2]
    example, commands = re.findall(r"```(?:yaml|sh)\n(.*?)```", told, re.DOTALL)[:2]
    written.write_text(example, "utf-8")
    migrate()
    with connect() as connection:
        connection.execute(
            "insert into silver.library_branches (source_code, branch_code, name, _load_id)"
            " values ('sample', 'CEN', 'Central Library', 1)"
        )
    (line,) = re.findall(r"echo '(.*?)'", commands)
    (question,) = re.findall(r'--sql "(.*?)"', commands)
    path = tmp_path / "counts.jsonl"
    path.write_text(line, "utf-8")
    assert produce(str(path)).stdout == "1 sent\n"
    consume(stream("library_visits"), once=True)
    assert ask(question) == [("Central Library", 3)]
