"""The REST API as it is really served, on a library of its own: what it does, pages do not see.

`api_library`  name of the database
`at_api`       the settings of this process point at it
`api`      `python -m bi_app.api.rest.serve` in a process of its own; `api.base` is its address
`caller`   makes HTTP clients, signed in by role: `caller("librarian")`
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bi_app.api.rest.serve import command
from bi_app.models import store
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served, filled, free_port
from tests.fix_warehouse import NONE, use
from warehouse.settings import ROOT

PREFIX = "/api/v1"
UNBOUND = {f"CARREL_API_{name}RATE": "1000000" for name in ("", "ADDRESS_", "EXPORT_")}


@contextmanager
def serving(database: str, folder: Path, **variables: str) -> Iterator[Served]:
    """The API on a database, until the end of the `with`."""
    log, port = folder / "api.log", free_port()
    environment = os.environ | {"CARREL_DATABASE": database, **variables}
    with log.open("wb") as out:
        process = subprocess.Popen(command(port), cwd=ROOT, env=environment, stdout=out, stderr=out)
    served = Served(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_ready(served)
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_until_ready(served: Served, seconds: float = 60) -> None:
    """Wait for /ready."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert served.process.poll() is None, served.log.read_text()
        try:
            if httpx.get(f"{served.base}/ready", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(served.log.read_text())


@pytest.fixture(scope="session")
def api_library(template: str) -> Iterator[str]:
    """Name of the database."""
    with filled("carrel_api", template) as name:
        yield name


@pytest.fixture
def at_api(api_library: str) -> Iterator[str]:
    """This process reads the API's library."""
    use(api_library)
    store.forget()
    yield api_library
    store.forget()
    use(NONE)


@pytest.fixture(scope="session")
def api(api_library: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The API, served as `carrel up` does, but that nobody asks too often."""
    with serving(api_library, tmp_path_factory.mktemp("api"), **UNBOUND) as served:
        yield served


@pytest.fixture(scope="session")
def tokens(api: Served) -> dict[str, str]:
    """A short token a role."""
    return {role: sign_in(api, role).json()["access_token"] for role in EMAILS}


def sign_in(
    api: Served, role: str, password: str = PASSWORD, code: str | None = None
) -> httpx.Response:
    """Ask for tokens."""
    asked = {"email": EMAILS.get(role, role), "password": password, "code": code}
    return httpx.post(f"{api.base}{PREFIX}/token", json=asked)


@pytest.fixture
def caller(api: Served, tokens: dict[str, str]) -> Iterator[Callable[..., httpx.Client]]:
    """Clients of the API; `caller()` has no token, `caller(token=…)` another one."""
    made: list[httpx.Client] = []

    def come(role: str | None = None, token: str | None = None) -> httpx.Client:
        token = token or (tokens[role] if role else None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        made.append(httpx.Client(base_url=f"{api.base}{PREFIX}", headers=headers, timeout=30))
        return made[-1]

    yield come
    for client in made:
        client.close()
