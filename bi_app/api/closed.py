"""Doors of Panel that we do not use, closed."""

from __future__ import annotations

import sys
from typing import Any

from panel.io.server import AutoloadJsHandler, ComponentResourceHandler
from tornado.httpserver import HTTPServer
from tornado.web import HTTPError, RequestHandler

from bi_app.auth.forms import first_headers

LARGEST = 2**20  # bytes; what is uploaded on a page comes by its websocket


def limit_bodies() -> None:
    """Refuse large bodies of requests: Tornado holds 100 MB of each, for strangers too."""
    made = HTTPServer.initialize

    def initialize(self: HTTPServer, *args: Any, **options: Any) -> None:
        made(self, *args, **{"max_body_size": LARGEST} | options)

    HTTPServer.initialize = initialize  # type: ignore[method-assign]


def begin_safely() -> None:
    """Have every answer begin with the safe headers.

    Tornado drops what a handler has set when it writes an error, and names its version.
    """
    RequestHandler.set_default_headers = first_headers  # type: ignore[method-assign,assignment]


def close_embedding() -> None:
    """Answer 404 for `/<page>/autoload.js`, the script by which another site would embed a page.

    It opens a session on a mere link, hands its token to whoever loads the script, and fails with
    a traceback in the log for whom it refuses.
    """

    async def prepare(self: Any) -> None:
        raise HTTPError(404)

    AutoloadJsHandler.prepare = prepare
    AutoloadJsHandler.set_default_headers = first_headers


def close_imports() -> None:
    """Let `/components/<module>/…` serve what is loaded; Panel imports any module that it names.

    The route needs no sign-in, so a stranger could have modules imported.
    """
    served = ComponentResourceHandler.parse_url_path

    def parse_url_path(self: Any, path: str) -> Any:
        if path.split("/", maxsplit=1)[0] not in sys.modules:
            raise HTTPError(404)
        return served(self, path)

    ComponentResourceHandler.parse_url_path = parse_url_path
