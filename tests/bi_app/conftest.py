import asyncio
from collections.abc import Iterator

import pytest

from tests.bi_app.fix_api import api, api_library, at_api, caller, tokens
from tests.bi_app.fix_app import app, browser, here, library, visitor
from tests.bi_app.fix_doors import ann, doors, guest

__all__ = [
    "ann",
    "api",
    "api_library",
    "app",
    "at_api",
    "browser",
    "caller",
    "doors",
    "guest",
    "here",
    "library",
    "tokens",
    "visitor",
]


@pytest.fixture(autouse=True)
def _loops_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what Panel leaves open: outside a server each answer gets an event loop of its own."""
    made: list[asyncio.AbstractEventLoop] = []
    new = asyncio.new_event_loop

    def noted() -> asyncio.AbstractEventLoop:
        made.append(new())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", noted)
    yield
    for loop in made:
        if not loop.is_running():
            loop.close()
