"""Commands on the stream: what doctor and status say of it, its metrics, retention and review."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments import stream_health
from deployments.cli import app
from tests.fix_kafka import Broker
from tests.fix_stream import message, send
from tests.ports import free_port
from warehouse.database import connect
from warehouse.settings import settings
from warehouse.streams import Stream

runner = CliRunner()


def told() -> list[tuple[bool, str]]:
    """Whether each of the stream's examinations passed, and what was found."""
    return [(f.ok, f.found.removeprefix("retail_sales: ")) for f in stream_health.examine()]


def test_doctor_leaves_a_stream_alone_that_is_not_used(
    sales: Stream, setting: Callable[..., None]
) -> None:
    assert told() == [(True, "is not used; `carrel produce` begins it")]
    setting(stream="on")
    assert len(told()) > 1
    setting(stream="off")
    send(sales, message(1))
    assert len(told()) == 1


def test_doctor_tells_folder_topic_lag_and_consumer(
    sales: Stream, setting: Callable[..., None]
) -> None:
    send(sales, message(1), message(2))
    folder = settings().stream_folder
    found = told()
    assert found[0][0]
    assert found[0][1].startswith(f"folder log {folder} is writable, ")
    assert found[1:] == [
        (True, f"topic retail_sales at {folder}: 3 of 3 partitions"),
        (True, "partition 0: lag 2 of 2 records; nobody reads it"),
        (True, "partition 1: lag 0 of 0 records; nobody reads it"),
        (True, "partition 2: lag 0 of 0 records; nobody reads it"),
        (False, "no consumer ever ran"),
    ]
    assert all(f.remedy for f in stream_health.examine() if not f.ok)
    assert runner.invoke(app, ["consume", "--once"]).stdout.startswith("2 events, 0 late")
    assert told()[2] == (True, "partition 0: lag 0 of 2 records; nobody reads it")
    assert told()[-1][1].startswith("consumer alive, last heard of ")
    with connect() as connection:
        connection.execute("update ops.stream_runs set reported_at = now() - interval '1 hour'")
    assert told()[-1] == (True, "consumer silent, last heard of 3,600 s ago"), "nothing is left"
    setting(stream="on")
    assert told()[-1][0] is False
    shutil.rmtree(folder / sales.topic / "0")
    assert told()[2] == (
        False,
        "partition 0: lag 0 of 0 records; nobody reads it; the log ends before record 2, which is"
        " the next one to be read",
    )


def test_doctor_in_json_holds_the_same(sales: Stream) -> None:
    send(sales, message(1))
    lines = [
        json.loads(line) for line in runner.invoke(app, ["doctor", "--json"]).stdout.splitlines()
    ]
    assert {tuple(line) for line in lines} == {("subject", "ok", "found", "remedy")}
    assert [(x["ok"], x["found"]) for x in lines if x["subject"] == "stream"][1:] == [
        (f.ok, f.found) for f in stream_health.examine()
    ][1:]


def test_doctor_says_of_a_broker_whether_it_answers_and_has_the_topic(
    sales: Stream, kafka: Broker, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = sales.model_copy(update={"topic": f"doctor_{time.time_ns()}"})
    monkeypatch.setattr(stream_health, "streams", lambda: {topic.table: topic})
    setting(kafka_bootstrap=kafka.bootstrap)
    (none,) = stream_health.examine()
    assert (none.ok, "has no such topic" in none.remedy) == (False, True)
    send(topic, message(1), message(2), partition=1)
    assert told()[:4] == [
        (True, f"topic {topic.topic} at {kafka.bootstrap}: 3 of 3 partitions"),
        (True, "partition 0: lag 0 of 0 records; nobody reads it"),
        (True, "partition 1: lag 2 of 2 records; nobody reads it"),
        (True, "partition 2: lag 0 of 0 records; nobody reads it"),
    ]
    setting(kafka_bootstrap=f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(stream_health, "ANSWER_S", 0.5)
    (away,) = stream_health.examine()
    assert not away.ok
    assert away.remedy.startswith("Look whether the broker runs")


def test_a_folder_that_cannot_be_written_to_is_told(
    sales: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root every folder can be: what the system says is put in its place."""
    send(sales, message(1))
    monkeypatch.setattr(stream_health.os, "access", lambda *_: False)
    assert told()[0] == (False, f"{settings().stream_folder / sales.topic} is not writable")


def test_status_tells_whether_the_stream_is_consumed(sales: Stream) -> None:
    assert list(stream_health.lines()) == []
    send(sales, message(1))
    ((line, wanted),) = stream_health.lines()
    assert (line.split("  ")[0], wanted) == ("retail_sales", False)
    assert "NOBODY CONSUMES" in line
    runner.invoke(app, ["consume", "--once"])
    with connect() as connection:
        connection.execute(
            "update ops.stream_partitions set consumer = gen_random_uuid(),"
            " held_until = now() + interval '1 minute'"
        )
    ((line, wanted),) = stream_health.lines()
    assert wanted
    assert line.endswith("lag 0, 1 records")


def test_the_commands_of_the_stream(sales: Stream) -> None:
    assert "Nothing was consumed yet." in runner.invoke(app, ["stream", "status"]).stdout
    send(sales, message(1), b"{")
    runner.invoke(app, ["consume", "--once"])
    shown = runner.invoke(app, ["stream", "status"]).stdout
    assert "partition 0: next record 2; 2 read: 1 counted" in shown
    assert shown.count("nobody reads it") == 3
    with connect() as connection:
        held = connection.execute("""
            with known as (
                insert into ops.stream_consumers
                values (gen_random_uuid(), 'retail_sales', 'desk', 4711, now()) returning consumer
            )
            update ops.stream_partitions set held_until = now() + interval '1 minute',
                consumer = case partition when 1 then (table known) else gen_random_uuid() end
            where partition > 0
        """)
        assert held.rowcount == 2
    lines = runner.invoke(app, ["stream", "status"]).stdout.splitlines()
    readers = [line.rpartition("; ")[2] for line in lines[:3]]
    assert readers == [
        "nobody reads it", "process 4711 on desk reads it", "a consumer reads it",
    ]  # fmt: skip
    with connect() as connection:
        connection.execute("update ops.stream_partitions set held_until = null")
    facts = json.loads(runner.invoke(app, ["stream", "status", "--json"]).stdout)
    assert [p["events"] for p in facts["partitions"]] == [2, 0, 0]
    assert {m["metric"]: m["value"] for m in facts["metrics"]}["quarantined"] == 1
    with connect() as connection:
        connection.execute(
            "update quarantine.retail_sales set quarantined_at = now() - interval '31 days'"
        )
    planned = runner.invoke(app, ["stream", "retain", "--dry-run"])
    assert "1 rows, came more than 30 days ago" in planned.stdout
    assert runner.invoke(app, ["stream", "retain"]).stdout == planned.stdout
    assert runner.invoke(app, ["stream", "retain"]).stdout == ""
    assert runner.invoke(app, ["stream", "review"]).exit_code == 0
    shutil.rmtree(settings().stream_folder)
    found = runner.invoke(app, ["stream", "review"])
    assert found.exit_code == 1
    assert "fault: partition 0 of retail_sales" in found.stderr


def test_messages_are_listed_exported_and_replayed(sales: Stream, tmp_path: Path) -> None:
    assert "Nothing is held back." in runner.invoke(app, ["stream", "quarantine"]).output
    send(sales, message(1), message(2, quantity="many"), b"{")
    assert runner.invoke(app, ["consume", "--once"]).exit_code == 0
    told = runner.invoke(app, ["stream", "quarantine"]).output
    assert "        1  is no JSON  (20" in told
    to = tmp_path / "held.csv"
    told = runner.invoke(app, ["stream", "quarantine", "--to", str(to)]).output
    assert "held.csv: 2 messages" in told
    assert "persons in clear" in told
    to.write_text(to.read_text("utf-8-sig").replace('""many""', "4"))
    told = runner.invoke(app, ["stream", "replay", str(to)]).output
    assert told.startswith("1 are events now, and late; 0 are duplicates; 1 stay\n")
    with connect() as connection:
        noted = connection.execute(
            "select act, subject, details ->> 'late' from audit.entries"
            " where outcome = 'done' and subject like '%retail_sales'"
            " order by entry_id desc limit 2"
        ).fetchall()
    assert noted == [
        ("stream", "retail_sales", "1"), ("export", "quarantine.retail_sales", None),
    ]  # fmt: skip
