"""Open pages end with their session: signed out, idle, expired, disabled, or rights changed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from tornado.ioloop import PeriodicCallback

from bi_app.auth import sessions
from bi_app.auth.sessions import SignedIn

log = logging.getLogger(__name__)
LOOK_SECONDS = 2  # a session that ends takes its open pages with it at once
USED: set[str] = set()
WATCHED: dict[int, PeriodicCallback] = {}


def owner_of(server_session: Any) -> SignedIn | None:
    """Whose document a Bokeh server session holds."""
    context = server_session.document.session_context
    return getattr(context.request, "carrel", None) if context else None


def used(signed_in: SignedIn) -> None:
    """Note that a person did something on an open page, so that the session is not idle."""
    USED.add(signed_in.session_id)


def open_pages(application: Any) -> list[tuple[SignedIn, Any]]:
    """Every open websocket of the server with the session it belongs to."""
    found = ((owner_of(c.session), c) for c in list(application._clients))
    return [(owner, connection) for owner, connection in found if owner]


def close_pages(application: Any, ended: set[str]) -> None:
    """Close the websockets of ended sessions; their pages say so and offer the sign-in form."""
    for owner, connection in open_pages(application):
        if owner.session_id in ended:
            connection._socket.close(4401, "signed out")
            connection.session.request_expiration()


async def look(application: Any) -> None:
    """Close the pages of sessions that no longer live."""
    known = {owner.session_id: owner for owner, _ in open_pages(application)}
    if not known:
        return
    active = USED & known.keys()
    USED.clear()
    live = await asyncio.to_thread(sessions.alive, known, active)
    if ended := known.keys() - live:
        log.info("closing the pages of %d ended sessions", len(ended))
        close_pages(application, ended)


def keep_watch(application: Any) -> None:
    """Look at the open pages every few seconds, as long as the server runs."""
    if id(application) in WATCHED:
        return

    async def watch() -> None:
        try:
            await look(application)
        except Exception:
            log.exception("could not look after open pages")

    WATCHED[id(application)] = PeriodicCallback(watch, LOOK_SECONDS * 1000)
    WATCHED[id(application)].start()
