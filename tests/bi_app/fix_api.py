"""The REST API as it is really served, on a library of its own: what it does, pages do not see.

`api_library`  name of the database
`at_api`       the settings of this process point at it
`api`      `python -m bi_app.api.rest.serve` in a process of its own; `api.base` is its address
`caller`   makes HTTP clients, signed in by role: `caller("librarian")`
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from bi_app.api.rest.serve import command
from bi_app.models import store
from tests.bi_app import fix_app
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served, filled
from tests.fix_warehouse import NONE, use
from tests.ports import free_port

PREFIX = "/api/v1"
UNBOUND = {f"CARREL_API_{name}RATE": "1000000" for name in ("", "ADDRESS_", "EXPORT_")}


@contextmanager
def serving(database: str, folder: Path, **variables: str) -> Iterator[Served]:
    """The API on a database, until the end of the `with`."""
    port = free_port()
    known = os.environ | {"CARREL_DATABASE": database, **variables}
    with fix_app.serving(command(port), port, folder / "api.log", known, "/ready") as served:
        yield served


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


@contextmanager
def clients(api: Served, emails: Mapping[str, str]) -> Iterator[dict[str, httpx.Client]]:
    """A client of the API for each name, signed in with the address beside it."""
    made = {}
    with ExitStack() as closed_after:
        for name, email in emails.items():
            token = sign_in(api, email).json()["access_token"]
            head = {"Authorization": f"Bearer {token}"}
            client = httpx.Client(base_url=api.base + PREFIX, headers=head, timeout=60)
            made[name] = closed_after.enter_context(client)
        yield made


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
