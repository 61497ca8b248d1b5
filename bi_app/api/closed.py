"""Doors of Panel that we do not use, closed."""

from __future__ import annotations

import sys
from typing import Any

from panel.io.server import ComponentResourceHandler
from tornado.httpserver import HTTPServer
from tornado.web import HTTPError

LARGEST = 2**20  # bytes; what is uploaded on a page comes by its websocket


def limit_bodies() -> None:
    """Refuse large bodies of requests: Tornado holds 100 MB of each, for strangers too."""
    made = HTTPServer.initialize

    def initialize(self: HTTPServer, *args: Any, **options: Any) -> None:
        made(self, *args, **{"max_body_size": LARGEST} | options)

    HTTPServer.initialize = initialize  # type: ignore[method-assign]


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
