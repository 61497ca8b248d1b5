"""A desk that repairs can be made at: a project with bad rows, the app, and the requests program.

The flows run for real, in this process; what stands in for Prefect is only its API, which takes a
run and starts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bi_app.serve import command, environment
from flows.ingest import ingest
from flows.replay import replay
from tests.bi_app.fix_app import Served, add, wait_until_healthy
from tests.flows.fix_desk import Desk
from tests.ports import free_port
from warehouse.settings import ROOT

QUARANTINE = "  - use: {check: quarantine, with: {most: 10}}\n"
FLOWS: dict[str, Callable[..., Any]] = {
    "replay/replay-dataset": replay.fn,
    "ingest/ingest-dataset": ingest.fn,
}


class Prefect(BaseHTTPRequestHandler):
    """Takes a run of a deployment once for each key, and runs its flow."""

    runs: dict[str, threading.Thread]

    def answer(self, body: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self) -> None:
        self.answer({"id": self.path.partition("/name/")[2]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "create_flow_run" not in self.path:
            return self.answer([])
        name = self.path.partition("/deployments/")[2].removesuffix("/create_flow_run")
        run = threading.Thread(target=FLOWS[name], kwargs=asked["parameters"])
        if asked["idempotency_key"] not in self.runs:
            self.runs[asked["idempotency_key"]] = run
            run.start()
        return self.answer({"name": name})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass
class Sitting(Served):
    """The app at a desk."""

    desk: Desk
    runs: dict[str, threading.Thread] = field(default_factory=dict)


def load_badly(desk: Desk) -> None:
    """Four loans of which two are bad, so that the contract fails; gold is that of before."""
    desk.contract("loans", more=QUARANTINE)
    desk.file("titles", "a,Emma", "b,Ulysses")
    desk.file("loans", "1,a,2024-03-01 10:00:00")
    ingest.fn("desk_titles")
    ingest.fn("desk_loans")
    desk.file(
        "loans", "1,a,2024-03-01 10:00:00", "2,b,yesterday", "3,a,2024-03-02 12:00:00",
        "x4,b,2024-03-02 13:00:00",
    )  # fmt: skip
    ingest.fn("desk_loans")


@pytest.fixture
def sitting(desk: Desk, setting: Callable[..., None], tmp_path: Path) -> Iterator[Sitting]:
    """The app and the requests program at a desk whose newest load is held back."""
    for role in ("admin", "librarian"):
        add(role, f"{role}@carrel.example")
    load_badly(desk)
    runs: dict[str, threading.Thread] = {}
    handler = type("Handler", (Prefect,), {"runs": runs})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        setting(prefect_api_url=f"http://127.0.0.1:{server.server_port}/api")
        log, port = tmp_path / "app.log", free_port()
        with log.open("wb") as out:
            programs = [
                subprocess.Popen(words, cwd=ROOT, env=os.environ | more, stdout=out, stderr=out)
                for words, more in (
                    (command(port), environment()),
                    ([sys.executable, "-m", "deployments.requests"], {}),
                )
            ]
        found = Sitting(f"http://127.0.0.1:{port}", programs[0], log, desk, runs)
        try:
            wait_until_healthy(found)
            yield found
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait(20)
            server.shutdown()
            thread.join()
            for run in runs.values():
                run.join(20)
