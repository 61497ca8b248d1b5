"""The forms of accounts, served in this process: settings may change from test to test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from bi_app.api.routes import ROUTES
from bi_app.auth.forms import SignIn, SignOut
from tests.bi_app.client import Client
from tests.bi_app.fix_app import account_with_password
from tests.bi_app.test_people import execute


@pytest.fixture(scope="session")
def doors() -> Iterator[str]:
    """The address of a server with the app's own routes, without its pages."""
    ready, found = threading.Event(), dict[str, Any]()

    async def serve() -> None:
        routes = [(r"/sign-in", SignIn), (r"/sign-out", SignOut), *ROUTES]
        application = Application(routes)
        application._clients = []  # type: ignore[attr-defined] # no page is open here
        socket, port = bind_unused_port()
        server = HTTPServer(application, xheaders=True)
        server.add_socket(socket)
        found["base"], found["loop"] = f"http://127.0.0.1:{port}", asyncio.get_running_loop()
        found["over"] = asyncio.Event()
        ready.set()
        await found["over"].wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield found["base"]
    found["loop"].call_soon_threadsafe(found["over"].set)
    thread.join(20)


@pytest.fixture
def guest(doors: str, here: str) -> Iterator[Callable[..., Client]]:
    """Clients without a session; `address` is where they seem to come from."""
    made: list[Client] = []

    def call(address: str = "192.0.2.1") -> Client:
        client = Client(doors)
        client.http.headers["X-Real-IP"] = address
        made.append(client)
        return client

    execute("delete from app.sign_ins")
    yield call
    for client in made:
        client.close()


@pytest.fixture
def ann(here: str) -> Iterator[str]:
    """The e-mail of an admin with a password and nothing else."""
    email = "ann@desk.example"
    account_with_password(email, "Ann Desk", "admin")
    yield email
    execute("delete from app.accounts where email = %s", email)
    execute("delete from app.letters")
