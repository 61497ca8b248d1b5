"""Requests of pages, carried out against an HTTP server that answers as Prefect does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from bi_app.auth.accounts import create_account
from deployments.requests import carry_out
from warehouse.database import connect

ASKED: list[dict[str, Any]] = []


class Prefect(BaseHTTPRequestHandler):
    """Knows one deployment, and keeps what it is asked to run."""

    def answer(self, body: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self) -> None:
        assert self.path == "/api/deployments/name/ingest/ingest-dataset"
        self.answer({"id": "d1"})

    def do_POST(self) -> None:
        ASKED.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer({"name": "ingest library_fines"})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def prefect(setting: Callable[..., None], database: str) -> Iterator[None]:
    ASKED.clear()
    with HTTPServer(("127.0.0.1", 0), Prefect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        setting(prefect_api_url=f"http://127.0.0.1:{server.server_port}/api", database=database)
        yield
        server.shutdown()
        thread.join()


def ask(*subjects: str, action: str = "run", ago: str = "0 s") -> None:
    with connect() as connection:
        for subject in subjects:
            connection.execute(
                "insert into app.requests (asked_by, action, subject, asked_at)"
                " values ('a@x.example', %s, %s, now() - %s::interval)", [action, subject, ago],
            )  # fmt: skip


def states() -> list[tuple[str, str | None]]:
    with connect() as connection:
        return connection.execute(
            "select state, message from app.requests order by request_id"
        ).fetchall()


def test_a_request_becomes_one_flow_run(prefect: None) -> None:
    ask("library_fines")
    assert carry_out() == 1
    assert states() == [("done", "flow run ingest library_fines")]
    (asked,) = ASKED
    assert asked["parameters"] == {"dataset": "library_fines"}
    assert asked["idempotency_key"].startswith("request ")
    assert carry_out() == 0


def test_what_cannot_be_asked_for_is_refused_with_a_reason(prefect: None) -> None:
    ask("no_such_dataset")
    ask("library_fines", action="drop")
    assert carry_out() == 2
    assert [state for state, _ in states()] == ["failed", "failed"]
    assert "no_such_dataset" in (states()[0][1] or "")
    assert ASKED == []


def test_a_request_waits_for_prefect_but_not_for_ever(database: str) -> None:
    ask("library_fines")
    ask("library_holds", ago="2 hours")
    assert carry_out() == 1
    assert states() == [("open", None), ("failed", "Prefect did not take it for 1 hour.")]


def held_back(detail: str) -> None:
    """A dataset that is held back, and an admin's wish to publish it anyway."""
    for email in ("a@x.example", "other@x.example"):  # one admin stays in any case
        create_account(email, "A", "admin", (), None, "a quiet reading room")
    with connect() as connection:
        connection.execute(
            "insert into ops.loads (dataset, state, run_id, done_at)"
            " values ('library_fines', 'done', 'r', now())"
        )
        connection.execute(
            "insert into quality.verdicts (dataset, load_id, outcome, checks, passed)"
            " select 'library_fines', max(load_id), 'failed', 1, 0 from ops.loads"
        )
        connection.execute(
            "insert into app.requests (asked_by, action, subject, detail) select 'a@x.example',"
            f" 'publish', 'library_fines', {detail} from quality.verdicts".encode()
        )


SEEN = "jsonb_build_object('verdict', verdict_id, 'reason', 'counts agree')"


def test_figures_are_published_anyway_by_name(database: str) -> None:
    held_back(SEEN)
    assert carry_out() == 1
    assert [state for state, _ in states()] == ["done"]
    with connect() as connection:
        assert connection.execute("select who, reason from quality.overrides").fetchall() == [
            ("a@x.example", "counts agree")
        ]


def test_a_newer_verdict_and_a_former_admin_publish_nothing(database: str) -> None:
    held_back(SEEN.replace("verdict_id", "verdict_id - 1"))
    assert carry_out() == 1
    with connect() as connection:
        connection.execute(
            "update app.accounts set role = 'librarian', branches = '{A}'"
            " where email = 'a@x.example'"
        )
        connection.execute(
            "insert into app.requests (asked_by, action, subject, detail) select asked_by, action,"
            ' subject, \'{"verdict": 1, "reason": "x"}\' from app.requests'
        )
    assert carry_out() == 1
    messages = [message or "" for _, message in states()]
    assert "judged anew" in messages[0]
    assert "no admin any more" in messages[1]
    with connect() as connection:
        assert connection.execute("select * from quality.overrides").fetchall() == []


def test_records_that_were_open_for_a_day_are_put_away(database: str) -> None:
    ask("library_fines", action="open")
    with connect() as connection:
        connection.execute(
            "insert into app.held_records select request_id, asked_by, 1, n, '', '', '[]', null,"
            " now() - n * interval '13 hours' from app.requests, generate_series(1, 2) as n"
        )
    carry_out()
    with connect() as connection:
        assert connection.execute("select line_no from app.held_records").fetchall() == [(1,)]


def test_a_request_that_makes_no_sense_stops_no_other(database: str) -> None:
    # pragma: allowlist nextline secret
    create_account("admin@x.example", "", "admin", password="a lamp that nobody lit")
    with connect() as connection:
        connection.execute(
            "insert into app.requests (asked_by, action, subject, detail) values"
            " ('admin@x.example', 'open', 'library_items', '{\"rule\": {\"a\": 1}}')"
        )
    ask("gold.nothing")
    assert carry_out() == 2
    assert [state for state, _ in states()] == ["failed", "failed"]
