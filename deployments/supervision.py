"""The detached supervisor: start it, ask it, stop it with everything that it started."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil

from deployments.facts import note
from deployments.programs import configuration, programs
from warehouse.errors import CarrelError
from warehouse.settings import child_environment, settings

MARK = "SUPERVISED_BY_CARREL"
LONGEST_SOCKET = 100  # the kernel takes 107 bytes
UP = ("RUNNING", "STARTING")


def start_supervisor() -> None:
    """Start the supervisor with the ports in `stack.json`; it starts no program by itself."""
    home = settings().home.resolve()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    (home / "logs").chmod(0o700)
    path = home / "supervisor.conf"
    path.touch(mode=0o600)  # it holds the key that signs the app's sessions
    user = psutil.Process().username() if psutil.Process().uids().effective == 0 else None
    path.write_text(configuration(home, _socket(), programs(), user=user))
    subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)],
        check=True,
        env=child_environment(**{MARK: str(home)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    wait_for(is_supervised, 15, "The supervisor did not start")


def is_supervised() -> bool:
    """Whether our supervisor answers."""
    try:
        return bool(_ask("getPID"))
    except (OSError, KeyError):
        return False


def states() -> dict[str, dict[str, Any]]:
    """What the supervisor says of each program, by name: statename, pid, start, description."""
    return {info["name"]: info for info in _ask("getAllProcessInfo")} if is_supervised() else {}


def is_up(name: str) -> bool:
    """Whether a program runs."""
    return states().get(name, {}).get("statename") in UP


def start_program(name: str) -> None:
    """Start a program unless it runs."""
    if is_up(name):
        return
    try:
        _ask("startProcess", name, False)
    except Fault as fault:
        raise CarrelError(
            f"{name} did not start: {fault.faultString}.", remedy=log(name)
        ) from fault


def check_alive(name: str) -> None:
    """Raise if the supervisor has given a program up, or is gone itself."""
    state = states().get(name, {}).get("statename")
    if state in (None, "FATAL"):
        raise CarrelError(f"{name} ended while it started.", remedy=log(name))


def log(name: str) -> str:
    """Where to read what a program said."""
    return f"Read {settings().home}/logs/{name}.log."


def stop_supervisor() -> int:
    """Stop every program and the supervisor; return how many processes that ended."""
    began = _members()
    if is_supervised():
        _ask("shutdown")
        _, left = psutil.wait_procs(began, timeout=45)
    else:
        left = began  # orphans of a killed supervisor
    for process in left:
        process.terminate()
    _, left = psutil.wait_procs(left, timeout=10)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)
    return len(began)


def _members() -> list[psutil.Process]:
    """Every process that carries our mark: the supervisor, its programs, their flow runs."""
    home = str(settings().home.resolve())
    return [p for p in psutil.process_iter() if p.pid != psutil.Process().pid and _mark(p) == home]


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def wait_for(ready: Any, seconds: float, problem: str, *, remedy: str | None = None) -> None:
    """Ask `ready()` until it is true.

    Raises:
        CarrelError: it is not within the time.
    """
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise CarrelError(f"{problem} within {seconds:.0f} s.", remedy=remedy)
        time.sleep(0.1)


def _socket() -> Path:
    """The supervisor's socket: at home, or in a private folder where that path is too long."""
    known = settings().stack.get("supervisor_socket")
    if known and Path(known).parent.is_dir():
        return Path(known)
    place = settings().home.resolve() / "supervisor.sock"
    if len(bytes(place)) > LONGEST_SOCKET:
        place = Path(tempfile.mkdtemp(prefix="carrel-")) / "supervisor.sock"
    note(supervisor_socket=str(place))
    return place


def _ask(method: str, *arguments: object) -> Any:
    from supervisor.xmlrpc import SupervisorTransport

    socket = settings().stack["supervisor_socket"]
    transport = SupervisorTransport(None, None, f"unix://{socket}")
    with ServerProxy("http://127.0.0.1", transport=cast(Any, transport)) as proxy:
        return getattr(proxy.supervisor, method)(*arguments)
