"""A real Prefect server and worker on free ports, and Carrel in a folder with spaces.

Deployments are made by `prefect deploy --all` from the shipped prefect.yaml.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_port
from warehouse.settings import ROOT, settings

PARTS = ("flows", "tasks", "quality", "warehouse", "deployments", "prefect.yaml")
FAST = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


@dataclass
class Orchestra:
    """The server's API, the environment that reaches it, and the processes started."""

    folder: Path
    port: int
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `python -m …` in a process group of its own, its output in <name>.log."""
        with (self.folder.parent / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder.parent / f"{name}.log").read_text()

    def prefect(self, *arguments: str) -> str:
        """Run a `prefect` command to its end; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,  # a deployment is a second of work, and many may share the machine
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """The API's answer; while its SQLite is busy it says 503, and is asked again."""
        for pause in (0.5, 1, 2, 4, 8, 0):
            url = f"{self.api}{path}"
            answer = httpx.request(method, url, json=body, timeout=30, trust_env=False)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause)
        return answer

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self.ask(method, path, body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployments(self) -> dict[str, Any]:
        return {d["name"]: d for d in self.call("POST", "/deployments/filter", {})}

    @contextmanager
    def worker(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker that sees this test's settings, for as long as the block lasts."""
        self.environment |= {k: v for k, v in os.environ.items() if k.startswith("CARREL_")}
        pool = ("--pool", "carrel", "--type", "process")
        process = self.start(name, "prefect", "worker", "start", *pool)
        try:
            yield process
        finally:
            end(process)

    def stop(self) -> None:
        for process in reversed(self.processes):
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process group to end; insist after a while."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(question: Callable[[], Any], *, seconds: float = 90, what: str = "it") -> Any:
    """Ask until the answer is true; fails after a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := question():
                return answer
        except (httpx.HTTPError, OSError):
            pass
        time.sleep(0.25)
    pytest.fail(f"waited {seconds:.0f} s for {what}")


@pytest.fixture(scope="module")  # two files use it, each in a worker of its own as a rule
def orchestra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestra]:
    """A server that answers, with everything in prefect.yaml deployed and no worker yet."""
    folder = tmp_path_factory.mktemp("orchestra") / "a path with spaces"
    folder.mkdir()
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / part)
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= settings().library_variables | FAST
    environment |= {
        "PREFECT_HOME": str(folder.parent / "prefect home"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_UI_API_URL": api,
        "PREFECT_LOGGING_SETTINGS_PATH": str(folder / "flows" / "logging.yml"),
        "PYTHONPATH": str(folder),
    }
    started = Orchestra(folder, port, environment)
    try:
        started.start("server", "prefect", "server", "start", "--port", str(port))
        wait_for(lambda: started.call("GET", "/health"), seconds=300, what="the server")
        started.prefect("work-pool", "create", "carrel", "--type", "process")
        started.prefect("deploy", "--all")
        yield started
    finally:
        started.stop()
