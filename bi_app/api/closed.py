"""Doors of Panel that we do not use, closed."""

from __future__ import annotations

import sys
from typing import Any

from panel.io.server import ComponentResourceHandler
from tornado.web import HTTPError


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
