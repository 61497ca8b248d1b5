"""What the pages of quality, pipelines, datasets and alerts say, and to whom."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from bi_app.api.tables import TABLES
from bi_app.models import (
    alerts,
    dataset,
    export,
    lineage,
    pipelines,
    profile,
    quality,
    repair,
    schedule,
    unusual,
)
from bi_app.pages import alerts as alerts_page
from bi_app.pages import dataset as dataset_page
from bi_app.pages import pipelines as pipelines_page
from bi_app.pages import quality as quality_page
from bi_app.queries import Noted, rows, statement, write
from tests.bi_app.fix_app import EMAILS, OWN
from tests.bi_app.test_pages import signed_in
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import ConfigurationError

ADMIN = Viewer(EMAILS["admin"], "admin")
LIBRARIAN = Viewer(EMAILS["librarian"], "librarian", OWN)
PERSON = Viewer(EMAILS["member"], "member", (), "a" * 32)
BAD, HELD = "library_holds", "library_loan_events"
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
EARLIER = NOW - dt.timedelta(days=1)


def owner(query: str, *values: Any) -> Any:
    """The first row of a query as the owner."""
    with connect() as connection:
        return connection.execute(query.encode(), values).fetchone()


def test_the_library_has_one_dataset_that_is_held_back(here: str) -> None:
    now = quality.standing(ADMIN)
    assert now.count("held back") == 1
    assert {r["dataset"] for r in now.datasets if now.outcome(r) == "held back"} == {BAD}
    assert quality.datasets_table(now).data["title"][0].startswith(f"/dataset?name={BAD}|")


@pytest.mark.parametrize(
    ("judged", "failed", "words"),
    [
        (("passed", 0, NOW), None, "trusted"),
        (("passed", 1, NOW), None, "with warnings"),
        (("failed", 0, NOW), None, "held back"),
        (("error", 0, NOW), None, "held back"),
        (("passed", 0, EARLIER), NOW, "failed to run"),
        (("passed", 0, NOW), EARLIER, "trusted"),
        (None, NOW, "failed to run"),
        (None, None, "not judged"),
    ],
)
def test_an_outcome_is_one_of_four_words(
    connection: psycopg.Connection[Any],
    judged: tuple[str, int, dt.datetime] | None,
    failed: dt.datetime | None,
    words: str,
) -> None:
    if judged:
        connection.execute(
            "insert into quality.verdicts (dataset, outcome, warnings, judged_at, checks, passed)"
            " values (%s, %s, %s, %s, 1, 1)", [BAD, *judged],
        )  # fmt: skip
    if failed:
        connection.execute(
            "insert into ops.steps (run_id, dataset, step, state, started_at, ended_at)"
            " values ('r', %(d)s, 'merge', 'failed', %(at)s, %(at)s)", {"d": BAD, "at": failed},
        )  # fmt: skip
    found = connection.execute(statement("outcomes"), {"dataset": BAD}).fetchall()
    now = quality.Standing([], {r[0]: {"outcome": r[1]} for r in found}, {}, None)
    assert now.outcome({"dataset": BAD}) == words


def test_a_failing_check_tells_since_when(here: str) -> None:
    found = quality.failing(LIBRARIAN)
    names = [v.partition("|")[2] for v in found.data["name"]]
    assert sorted(names) == ["check 1 holds", "check 2 holds", "check 3 holds", "check 3 holds"]
    at = names.index("check 1 holds")
    since = owner(
        "select judged_at from quality.verdicts where dataset = %s"
        " order by verdict_id desc offset 8 limit 1", BAD,
    )[0]  # fmt: skip
    assert found.data["since"][at] == since
    assert (found.data["measured"][at], found.data["threshold"][at]) == (15, "at most 10")
    assert found.data["trend"][at][-1] == 15
    assert found.data["trend"][at][0] < 10


def test_a_score_tells_its_formula_and_parts(here: str) -> None:
    now = quality.standing(ADMIN)
    score = now.scores[BAD].shown()
    assert score["formula"]
    assert score["parts"]
    health = quality.cards(now, quality.failing(ADMIN), quality.alert_counts(ADMIN))[0]
    assert health["score"]["formula"] == (now.whole.formula if now.whole else "")
    days = quality.trend(ADMIN)
    assert len(days) >= 12
    assert days == sorted(days)
    assert all(0 <= value <= 100 for _, value in days)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("must_be_less_than_or_equal: 10", "at most 10"),
        ("must_be_greater_than: 0", "more than 0"),
        ("must be less than or equal: 10", "at most 10"),
        ("must be less than: 3.5", "less than 3.5"),
        (None, ""),
    ],
)
def test_a_threshold_is_in_words(text: str | None, words: str) -> None:
    assert quality.threshold(text) == words


def test_samples_show_no_private_value_and_only_to_admins(here: str) -> None:
    found = dataset.samples(ADMIN, HELD, None)
    pairs = set(zip(found.data["column_name"], found.data["value"], strict=True))
    assert ("kind", "lent1") in pairs
    assert {v for c, v in pairs if c == "member_key"} == {"(hidden)"}
    assert not [v for v in found.data["value"] if "person" in v or "slipped" in v]
    assert set(dataset.samples(ADMIN, HELD, "ragged").data["rule"]) == {"ragged"}
    assert len(dataset.rules(LIBRARIAN, HELD)) == 5
    with pytest.raises(InsufficientPrivilege):
        dataset.samples(LIBRARIAN, HELD, None)
    for viewer in (PERSON, Viewer("x", "member")):
        with pytest.raises(InsufficientPrivilege):
            dataset.rules(viewer, HELD)
    assert len(dataset.samples(ADMIN, "no_such; drop table x", None)) == 0


def test_what_was_sent_again_is_no_longer_held_back(here: str) -> None:
    number = owner("select max(load_id) from ops.loads where dataset = %s", HELD)[0]
    with connect() as connection:
        connection.execute(
            "insert into ops.replays select %(n)s, 1, %(n)s, 2, %(n)s, 2, false, false",
            {"n": number},
        )
    try:
        found = dataset.rules(LIBRARIAN, HELD).data
        counts = dict(zip(found["column_name"], found["newest"], strict=True))
        assert counts["member_key"] == 23
        assert "lent1" not in dataset.samples(ADMIN, HELD, None).data["value"]
    finally:
        with connect() as connection:
            connection.execute("delete from ops.replays")


def test_records_of_earlier_loads_can_still_be_opened(here: str) -> None:
    """A newest load without faults, such as a replay that went well, hides none of the others."""
    with connect() as connection:
        connection.execute(
            "insert into ops.loads (dataset, state, run_id, rows_in, rows_inserted, rows_updated,"
            " rows_unchanged, rows_quarantined, rows_ignored)"
            " values (%s, 'done', 'mended', 1, 1, 0, 0, 0, 0)",
            [HELD],
        )
    try:
        told = dataset_page.answer_of(ADMIN, {"name": HELD}).told["detail"]["repair"]
        assert told["held"] > 0
    finally:
        with connect() as connection:
            connection.execute("delete from ops.loads where run_id = 'mended'")


SENT = {
    "action": "replay", "state": "done", "message": None, "begun": True, "late": False,
    "steps": list(repair.STEPS), "failure": None, "contract": "passed", "checks": 2, "passed": 2,
    "overtaken": False, "gold": [f"g{n}" for n in range(20)],
}  # fmt: skip


def test_a_replay_says_what_became_of_gold() -> None:
    told = repair._stage(SENT)
    assert told["steps"][-1] == [repair.STEPS["publish"], "done"]
    assert told["text"].endswith("published: gold.g0, gold.g1, gold.g2 and 17 more.")
    told = repair._stage(SENT | {"contract": "failed", "passed": 1})
    assert told["look"] == "warn"
    assert told["steps"][-1] == [repair.KEPT, ""]
    assert repair._stage(SENT | {"overtaken": True}) == {"state": "idle"}


@pytest.mark.parametrize(
    ("ends", "said"),
    [((0, 9), "0 – 9"), ((0, None), "0 – withheld"), ((None, None), "")],
)
def test_an_end_that_is_not_told_is_no_none(ends: tuple[Any, Any], said: str) -> None:
    measures = {"rows": 9, "min": ends[0], "max": ends[1]}
    assert profile._row("days", measures)["span"] == said


def test_what_was_never_judged_is_not_the_worst(here: str) -> None:
    now = quality.standing(ADMIN)
    name = next(r["dataset"] for r in now.datasets if now.outcome(r) == "trusted")
    never = replace(now, outcomes={k: v for k, v in now.outcomes.items() if k != name})
    assert f"name={name}|" in quality.datasets_table(never).data["title"][-1]
    assert f"name={name}|" in pipelines.pipelines(ADMIN, never, None, set()).data["title"][-1]


def test_only_an_admin_mends_and_publishes(here: str) -> None:
    """A librarian is refused by the page, and in SQL by PostgreSQL."""
    publish = {"act": "publish", "verdict": 1, "reason": "because"}
    for asked in ({"act": "open"}, {"act": "send", "of": 1, "edits": []}, publish):
        with pytest.raises(ConfigurationError, match="admins"):
            repair.act(LIBRARIAN, BAD, asked)
    for name, values in (
        ("ask_with", {"action": "publish", "subject": BAD, "detail": '{"reason": "x"}'}),
        ("send_again", {"of": 1, "subject": BAD, "edits": "[]"}),
        ("close_records", {"dataset": BAD}),
    ):
        for viewer in (LIBRARIAN, PERSON):
            with pytest.raises(InsufficientPrivilege):
                write(viewer, name, values, Noted("replay", BAD))
    assert repair.repair(LIBRARIAN, HELD, 24) is None
    assert repair.deciding(LIBRARIAN, quality.standing(LIBRARIAN, BAD), BAD) is None
    assert repair.deciding(ADMIN, quality.standing(ADMIN, BAD), BAD)


@pytest.mark.parametrize(
    "asked",
    [
        {"act": "drop"},
        {"act": "publish", "verdict": 1, "reason": " "},
        {"act": "publish", "reason": "x"},
        {"act": "send", "of": 1, "edits": []},
        {"act": "send", "of": 1, "edits": [{"load": "x", "line": 1, "cells": {"a": "b"}}]},
        {"act": "send", "of": 1, "edits": [{"load": 1, "line": 1, "cells": {"a": "b"}}]},
        {"act": "send", "of": "1; drop", "edits": [{"load": 1, "line": 1, "cells": {"a": "b"}}]},
    ],
)
def test_what_cannot_be_mended_is_refused(here: str, asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        repair.act(ADMIN, BAD, asked)
    assert owner("select count(*) from app.requests") == (0,)


def test_a_second_request_waits_for_the_first(here: str) -> None:
    try:
        assert repair.act(ADMIN, HELD, {"act": "open", "rule": "required"}) == ""
        told = repair.repair(ADMIN, HELD, 24)
        assert told
        assert told["state"] == "waits"
        with pytest.raises(ConfigurationError, match="under way"):
            repair.act(ADMIN, HELD, {"act": "open"})
    finally:
        with connect() as connection:
            connection.execute("delete from app.requests")


def test_what_was_unusual_is_told_with_its_range(here: str) -> None:
    found = unusual.unusual(LIBRARIAN)
    assert len(found) > 0
    assert set(found.data["usual"]) == {"3,900 – 4,600"}
    assert set(found.data["value"]) == {"212"}
    assert found.data["trend"][0]["low"] == 3900
    assert len(found.data["trend"][0]["values"]) > 2
    day = found.data["day"][0]
    assert found.data["message"][0].endswith(f"4,600 rows; on {day} 212.")
    name = found.data["title"][0].partition("name=")[2].partition("|")[0]
    assert len(unusual.unusual(ADMIN, name)) == 1
    with pytest.raises(InsufficientPrivilege):
        unusual.unusual(PERSON)


def test_an_admin_asks_for_a_run_once(here: str) -> None:
    known = {BAD}
    try:
        assert "starts in a moment" in pipelines.ask_to_run(ADMIN, BAD, known)
        assert "already" in pipelines.ask_to_run(ADMIN, BAD, known)
        asked = owner("select asked_by, action, subject, state, count(*) over () from app.requests")
        assert asked == (ADMIN.user, "run", BAD, "open", 1)
        assert repair.act(ADMIN, HELD, {"act": "open"}) == ""
        assert [r["subject"] for r in pipelines.asked(ADMIN)] == [BAD]
        assert pipelines.asked_table(pipelines.asked(ADMIN)).data["state"] == ["warn|waiting"]
        for viewer, subject in ((LIBRARIAN, BAD), (ADMIN, "nothing"), (ADMIN, None)):
            with pytest.raises(ConfigurationError):
                pipelines.ask_to_run(viewer, subject, known)
        for viewer in (LIBRARIAN, PERSON):
            with pytest.raises(InsufficientPrivilege):
                write(viewer, "ask", {"action": "run", "subject": BAD}, Noted("run", BAD))
    finally:
        with connect() as connection:
            connection.execute("delete from app.requests")


def test_rows_add_up_and_the_slowest_step_is_named(here: str) -> None:
    now = quality.standing(LIBRARIAN)
    shown = pipelines.pipelines(LIBRARIAN, now, None, set())
    assert "run" not in {c.key for c in shown.columns}
    assert all(words.startswith("clean") for words in shown.data["slowest"])
    row = now.datasets[0]
    assert row["rows_in"] == row["rows_loaded"] + row["rows_unchanged"] + row["rows_quarantined"]
    runs = pipelines.history(ADMIN, BAD)
    assert len(runs) == 12
    assert all(3 < r["value"] < 8 for r in runs)


class Prefect(BaseHTTPRequestHandler):
    """Answers as Prefect's API does for what is scheduled."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        deployments = [
            {"id": "d1", "parameters": {"group": "library"}, "tags": ["ingest"]},
            {"id": "d2", "parameters": {}, "tags": ["refresh"]},
            {"id": "d3", "parameters": {}, "tags": ["watch"]},
        ]
        runs = [
            {"deployment_id": "d3", "expected_start_time": "2026-11-22T01:00:00Z"},
            {"deployment_id": "d1", "expected_start_time": "2026-11-22T02:00:00+00:00"},
            {"deployment_id": "d2", "expected_start_time": "2026-11-22T06:00:00+00:00"},
        ]
        body = json.dumps(runs if "flow_runs" in self.path else deployments).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def prefect(setting: Callable[..., None]) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Prefect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        setting(prefect_api_url=f"http://127.0.0.1:{server.server_port}/api")
        schedule.forget()
        yield
        server.shutdown()
        thread.join()
        schedule.forget()


def test_the_next_run_of_each_dataset_is_prefects(
    prefect: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "WAIT_SECONDS", 20)
    found = schedule.next_runs()
    assert found is not None
    assert found[BAD] == dt.datetime(2026, 11, 22, 2, tzinfo=dt.UTC)
    assert found["library_goodbooks"] == dt.datetime(2026, 11, 22, 6, tzinfo=dt.UTC)


def test_without_prefect_the_page_says_so(here: str) -> None:
    schedule.forget()
    page = pipelines_page.Pipelines(signed_in("admin"), {})
    assert page.controls.notes["pipelines"] == schedule.AWAY
    assert page.controls.cards[-1]["note"] == "Prefect does not answer"


def test_a_slow_prefect_is_not_told_to_be_away(
    here: str, prefect: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    ask = schedule._by_dataset
    monkeypatch.setattr(schedule, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(schedule, "_by_dataset", lambda: (answered.wait(20), ask())[1])
    page = pipelines_page.Pipelines(signed_in("admin"), {})
    answered.set()
    assert page.controls.notes["pipelines"] == schedule.ASKING
    assert page.controls.cards[-1]["note"] == "Prefect is being asked"


@pytest.mark.parametrize(
    ("parameters", "tags", "group", "taken"),
    [
        ({"group": "a"}, [], "a", True),
        ({"group": "a"}, ["refresh"], "b", False),
        ({"besides": ["a"]}, [], "a", False),
        ({"besides": ["a"]}, [], "b", True),
        ({}, ["refresh"], "a", True),
        ({"keep": 14}, ["keeping"], "a", False),
    ],
)
def test_which_deployment_takes_a_group(
    parameters: dict[str, Any], tags: list[str], group: str, taken: bool
) -> None:
    assert schedule.takes({"parameters": parameters, "tags": tags}, group) is taken


def test_lineage_goes_from_the_files_to_gold(here: str) -> None:
    stages = lineage.lineage(ADMIN, HELD)
    assert [s["title"] for s in stages] == ["Sources", "Bronze", "Silver", "Gold"]
    assert "library/sample/loan" in stages[0]["nodes"][0]["name"]
    gold = {n["name"] for n in stages[3]["nodes"]}
    assert "gold.library_circulation" in gold
    assert not any("newcastle" in name for name in gold)


def test_a_check_is_drawn_with_its_threshold(here: str) -> None:
    page = dataset_page.OneDataset(signed_in("librarian"), {"name": BAD, "check": "check 1 holds"})
    assert page.chart.bound.location == 10
    assert len(page.chart.marks.data["at"]) == 9
    page.draw(dataset_page.answer_of(LIBRARIAN, {"name": BAD}))
    assert page.chart.bound.location is None
    assert page.chart.marks.data["at"] == []


def test_names_from_outside_become_the_default(here: str) -> None:
    told = dataset_page.answer_of(ADMIN, {"name": "'; drop", "check": "x", "rule": "'"}).told
    assert told["query"]["name"] in dataset.names(ADMIN)
    assert told["query"]["check"] == ""
    assert alerts_page.answer_of(ADMIN, {"alert": "1 or 1=1"})["query"]["alert"] == ""


def test_staff_without_the_right_to_act_get_no_buttons(here: str) -> None:
    page = dataset_page.OneDataset(signed_in("librarian"), {"name": HELD})
    assert "samples" not in page.controls.tables
    assert "samples" not in {c.name for c in page.page().cells}
    shown = pipelines_page.Pipelines(signed_in("librarian"), {}).page()
    assert "asked" not in {c.name for c in shown.cells}


@pytest.mark.parametrize("page", ["quality", "pipelines", "dataset", "alerts"])
def test_its_tables_can_be_saved(here: str, page: str) -> None:
    names = {
        "quality": ("failing", "datasets", "rules", "unusual"),
        "pipelines": ("pipelines", "failures", "streams"),
        "dataset": ("checks", "rules", "loads", "columns", "unusual"),
        "alerts": ("alerts",),
    }
    for name in names[page]:
        found = TABLES[page](ADMIN, name, {"name": [BAD.encode()]})
        lines = export.to_csv(found).decode("utf-8-sig").splitlines()
        assert len(lines) == len(found) + 1
        assert "|" not in "".join(lines)
        assert export.to_xlsx(found)
    with pytest.raises(KeyError):
        TABLES[page](ADMIN, "nothing", {"name": [BAD.encode()]})


def test_a_member_reads_nothing_of_it(here: str) -> None:
    for name in ("asked", "failures", "quality_checks", "streams"):
        with pytest.raises(InsufficientPrivilege):
            rows(PERSON, name, {"zone": "UTC", "dataset": BAD})


def alert_of(viewer: Viewer) -> dict[str, Any]:
    return dict(alerts.inbox(viewer, everything=True)[0])


def test_an_alert_is_taken_up_and_resolved_by_an_admin(here: str) -> None:
    alert = alert_of(ADMIN)
    number = alert["alert_id"]
    with pytest.raises(ConfigurationError):
        alerts.act(LIBRARIAN, {"act": "acknowledge", "subject": number})
    alerts.act(ADMIN, {"act": "acknowledge", "subject": number, "note": "on it"})
    assert alert_of(LIBRARIAN)["acknowledged_by"] == ADMIN.user
    with pytest.raises(ConfigurationError, match="reason"):
        alerts.act(ADMIN, {"act": "resolve", "subject": number, "reason": "no such"})
    alerts.act(ADMIN, {"act": "snooze", "subject": number, "span": "1 day"})
    assert alert_of(ADMIN)["snoozed"]
    alerts.act(ADMIN, {"act": "resolve", "subject": number, "reason": "fixed", "note": "mended"})
    assert alerts.inbox(ADMIN, everything=False) == []
    alerts.act(ADMIN, {"act": "reopen", "subject": number})
    assert alert_of(ADMIN)["episode"] == 2
    record = alerts.events_table(ADMIN, number).data
    assert "on it" in record["note"]
    assert any("mended" in note for note in record["note"])
    for asked in ({"act": "drop", "subject": number}, {"act": "wake", "subject": "1; drop"}):
        with pytest.raises(ConfigurationError):
            alerts.act(ADMIN, asked)


def test_an_empty_house_says_what_to_do(database: str) -> None:
    assert quality_page.build(signed_in("admin")).empty == quality_page.NOTHING
    page = dataset_page.OneDataset(signed_in("admin"), {}).page()
    assert page.empty is None
    assert page.controls is not None
    assert page.controls.cards[0]["value"] == "Not judged"
