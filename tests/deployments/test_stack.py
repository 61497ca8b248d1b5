"""`carrel up` and `down`, whole: on taken ports, without the internet, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from deployments import supervision
from deployments.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
RECORDER = Path(__file__).parent / "recorder"
PORTS = ("CARREL_PG_PORT", "CARREL_PREFECT_PORT", "CARREL_APP_PORT", "CARREL_API_PORT")
LOCAL = re.compile(r"127\.\d+\.\d+\.\d+|::1|localhost|None|/.*|\[\]|0\.0\.0\.0|::|")


@dataclass
class Stack:
    """A home, and the command line in it."""

    home: Path
    ports: tuple[int, ...]

    @property
    def environment(self) -> dict[str, str]:
        paths = {
            "CARREL_HOME": str(self.home),
            "CARREL_PROJECT": str(self.home / "local"),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(RECORDER))),
            "RECORDED_NAMES": str(self.home / "names"),
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARREL_", "PREFECT_"))}
        return kept | paths | {k: str(v) for k, v in zip(PORTS, self.ports, strict=True)}

    def run(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deployments", *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    @property
    def processes(self) -> list[psutil.Process]:
        home = str(self.home.resolve())
        return [p for p in psutil.process_iter() if supervision._mark(p) == home]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A home whose path has a space, its first database port taken by another program."""
    with tempfile.TemporaryDirectory(prefix="a carrel ") as folder, socket.socket() as squatter:
        Path(folder).chmod(0o755)
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ports = (free_port(16700), free_port(16800), free_port(16900), free_port(17000))
        squatter.bind(("127.0.0.1", ports[0]))
        squatter.listen()
        made = Stack(Path(folder) / "home", ports)
        try:
            yield made
        finally:
            made.run("down")


@pytest.fixture(scope="module")
def first(stack: Stack) -> subprocess.CompletedProcess[str]:
    """The first `carrel up`."""
    done = stack.run("up")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_addresses_stand_first_the_app_at_the_top(stack: Stack, first) -> None:
    lines = first.stdout.splitlines()
    assert lines[0].split() == ["Carrel", f"http://127.0.0.1:{stack.ports[2]}"]
    assert [line.split()[0] for line in lines[1:3]] == ["Prefect", "PostgreSQL"]
    for line in lines[:2]:
        assert httpx.get(line.split()[1], follow_redirects=True, timeout=30).is_success


def test_a_taken_port_is_said(stack: Stack, first) -> None:
    taken = stack.ports[0]
    assert f"Port {taken} is taken: PostgreSQL gets {taken + 1}." in first.stderr
    assert first.stdout.splitlines()[2].endswith(f":{taken + 1}")


def test_one_sign_in_a_role_is_printed_and_kept_nowhere(stack: Stack, first) -> None:
    made = re.findall(r"^(admin|librarian|member) +(\S+@\S+) +(\S+)$", first.stdout, re.MULTILINE)
    assert [role for role, *_ in made] == ["admin", "librarian", "member"]
    for path in stack.home.rglob("*"):
        if path.is_file() and os.access(path, os.R_OK):
            content = path.read_bytes()
            assert not [p for *_, p in made if p.encode() in content], path


def test_gold_was_published_by_a_deployment_run(stack: Stack, first) -> None:
    api = f"http://127.0.0.1:{stack.ports[1]}/api"
    runs = httpx.post(f"{api}/flow_runs/filter", json={}).json()
    ended = [r for r in runs if r["state_type"] == "COMPLETED"]
    assert ended
    assert ended[0]["deployment_id"]
    assert "library flow" in first.stderr


def test_no_process_looks_beyond_this_machine(stack: Stack, first) -> None:
    lines = (stack.home / "names").read_text().splitlines()
    programs = {line.split("\t")[2] for line in lines}
    for program in ("prefect server", "prefect worker", "panel serve"):
        assert any(program in found for found in programs), program
    assert not [line for line in lines if not LOCAL.fullmatch(line.split("\t")[1])]


def test_prefects_page_is_the_one_that_asks_no_stranger(stack: Stack, first) -> None:
    address = first.stdout.splitlines()[1].split()[1]
    assert httpx.get(f"{address}/ui-settings").json()["available_uis"] == ["v1"]
    typed = httpx.get(f"{address}/v2/dashboard", headers={"Accept": "text/html"})
    assert (typed.status_code, typed.headers["location"]) == (307, "/dashboard")


def test_everything_listens_on_loopback(stack: Stack, first) -> None:
    open_to = {
        connection.laddr.ip
        for process in stack.processes
        for connection in process.net_connections("inet")
        if connection.status == "LISTEN"
    }
    assert open_to == {"127.0.0.1"}


def test_status_and_doctor_pass(stack: Stack, first) -> None:
    status = stack.run("status")
    assert status.returncode == 0, status.stdout
    assert len(status.stdout.splitlines()) == 6
    doctor = stack.run("doctor")
    assert "FAIL" not in [
        line.split()[0] for line in doctor.stdout.splitlines() if "browser" not in line
    ]


def test_a_second_up_changes_nothing(stack: Stack, first) -> None:
    before = {p.pid for p in stack.processes}
    began = time.monotonic()
    again = stack.run("up")
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - began < 20
    assert again.stdout.splitlines()[:3] == first.stdout.splitlines()[:3]
    assert "set-password" in again.stdout
    assert "@example.org" not in again.stdout
    assert before <= {p.pid for p in stack.processes}


def test_ingest_is_a_flow_run_while_prefect_answers(stack: Stack, first) -> None:
    done = stack.run("ingest", "library_branches")
    assert done.returncode == 0, done.stderr
    api = f"http://127.0.0.1:{stack.ports[1]}/api"
    names = [r["name"] for r in httpx.post(f"{api}/flow_runs/filter", json={}).json()]
    assert "ingest library_branches" in names


def test_demo_sign_ins_only_in_a_demo(stack: Stack, first) -> None:
    demo = stack.run("up", "--demo")
    assert "admin@library.com" in demo.stdout
    plain = stack.run("up")
    assert plain.returncode == 2
    assert "admin@library.com" in plain.stderr
    assert "set-password" in plain.stderr
    for email in re.findall(r"\S+@library\.com", demo.stdout):
        assert stack.run("users", "set-password", email).returncode == 0
    assert stack.run("up").returncode == 0


def test_a_killed_program_comes_back(stack: Stack, first) -> None:
    (app,) = [p for p in stack.processes if {"panel", "serve"} <= set(p.cmdline())]
    app.kill()
    app.wait(10)
    again = stack.run("up")
    assert again.returncode == 0, again.stderr
    assert httpx.get(again.stdout.split()[1], follow_redirects=True, timeout=30).is_success


def test_down_leaves_nothing_then_up_is_quick_and_a_signal_ends_it(stack: Stack, first) -> None:
    family = stack.processes
    assert len(family) >= 5
    assert stack.run("down").returncode == 0
    assert not [p for p in family if p.is_running()]
    assert stack.processes == []
    assert stack.run("status").returncode == 1
    command = [sys.executable, "-m", "deployments", "up", "--foreground"]
    with subprocess.Popen(
        command, env=stack.environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("Running"):
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, said
        process.stderr.read()
    assert stack.processes == []


@contextmanager
def starting(stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """A `carrel up` that has got as far as its database."""
    command = [sys.executable, "-m", "deployments", "up"]
    with subprocess.Popen(
        command, env=stack.environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("PostgreSQL"):
                break
        yield process
        process.stderr.read()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_start_leaves_nothing(stack: Stack, first, sent: signal.Signals) -> None:
    stack.run("down")
    with starting(stack) as process:
        process.send_signal(sent)
    assert process.returncode == 130
    assert stack.processes == []


def test_orphans_of_a_killed_supervisor_are_cleared(stack: Stack, first) -> None:
    with starting(stack) as process:
        process.kill()
    (supervisor,) = [p for p in stack.processes if "supervisor.supervisord" in p.cmdline()]
    supervisor.kill()
    supervisor.wait(10)
    assert stack.processes
    assert stack.run("down").returncode == 0
    assert stack.processes == []
