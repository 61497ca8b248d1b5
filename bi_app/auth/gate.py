"""The gate before every door of a page: document, websocket, script and metadata.

Bokeh asks `get_user_async` before each of them. A websocket must also belong to the session that
opened the document: a token copied to another page, or by another person, is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bokeh.util.token import get_session_id
from sqlalchemy.exc import SQLAlchemyError
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from bi_app.auth import origin, sessions, watch
from bi_app.auth.forms import message_page, safe_headers, speak_as_asked
from bi_app.auth.roles import ROLE_NAMES, may_open, page_of
from bi_app.auth.sessions import COOKIE, SignedIn
from bi_app.words import N_, _
from warehouse import audit
from warehouse.access import Viewer

log = logging.getLogger(__name__)
AWAY = N_("The library's figures are out of reach")
PREPARE: dict[str, Callable[[Viewer, Mapping[str, list[bytes]]], Any]] = {}  # by what is asked


async def get_user_async(handler: RequestHandler) -> str | None:
    """The e-mail of the signed-in person, or None; the request is ended with 403 where it must.

    None sends a document to the sign-in form and closes a websocket with 403.
    """
    _check_signed(handler)
    speak_as_asked(handler)
    watch.keep_watch(handler.application)
    safe_headers(handler)
    try:
        signed_in = await signed_in_of(handler)
    except SQLAlchemyError:
        return _away(handler)
    if signed_in is None:
        return None
    spoken = speak_as_asked(handler, signed_in.account.language)
    role = signed_in.account.viewer.role
    allowed = may_open(handler.request.path, role)
    if isinstance(handler, WebSocketHandler):
        allowed = allowed and _owns(handler, signed_in)
        handler.request.connection.stream.set_nodelay(True)  # type: ignore[union-attr]
    if not allowed:
        return _refuse(handler, signed_in)
    prepared, address = None, origin.address_of(handler.request)
    if page_of(handler.request.path) == handler.request.path.rstrip("/"):  # once a page opened
        prepared = await _prepare(handler, signed_in.account.viewer)
        by = audit.viewer(signed_in.account.viewer, "page", address)
        audit.note_late(by, "view", page_of(handler.request.path))
    opened = replace(signed_in, prepared=prepared, address=address, language=spoken)
    handler.request.carrel = opened  # type: ignore[attr-defined]
    return signed_in.account.email


async def signed_in_of(handler: RequestHandler) -> SignedIn | None:
    """The live session that the request's cookie names, looked up off the event loop."""
    return await asyncio.to_thread(sessions.find, handler.get_cookie(COOKIE))


def _away(handler: RequestHandler) -> str | None:
    """Answer 503: nobody is let in while the database cannot say who is there."""
    log.exception("the database did not answer")
    if isinstance(handler, WebSocketHandler):
        return None
    handler.set_status(503)
    handler.finish(
        message_page(_(AWAY), _("Please try again in a moment."), action=("", _("Try again")))
    )
    return "nobody"


async def _prepare(handler: RequestHandler, viewer: Viewer) -> Any:
    """Fetch what a page needs in a thread, so that nobody else waits while it is built."""
    prepare = PREPARE.get(page_of(handler.request.path))
    if prepare is None:
        return None
    try:
        return await asyncio.to_thread(prepare, viewer, handler.request.arguments)
    except Exception:
        log.exception("could not prepare %s", handler.request.path)
        return None  # the page will ask again, and say what is wrong


def _refuse(handler: RequestHandler, signed_in: SignedIn) -> str | None:
    """Answer 403: Panel does so itself on a websocket, we do so elsewhere."""
    log.warning(
        "refused %s to account %s", page_of(handler.request.path), signed_in.account.account_id
    )
    by = audit.viewer(signed_in.account.viewer, "page", origin.address_of(handler.request))
    audit.note_late(by, "refusal", handler.request.path, "refused")
    if isinstance(handler, WebSocketHandler):
        return None
    handler.set_status(403)
    handler.finish(
        message_page(
            _("This page is not yours to open"),
            _(
                "You are signed in as {name} ({role}).",
                name=signed_in.account.name,
                role=_(ROLE_NAMES[signed_in.account.viewer.role]),
            ),
        )
    )
    return signed_in.account.email


def _owns(handler: Any, signed_in: SignedIn) -> bool:
    """Whether the document behind a websocket's token was opened by the same session."""
    protocols = handler.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    if len(protocols) != 2:
        return False
    try:
        session_id = get_session_id(protocols[1].strip())
    except Exception:  # a token that cannot be read is nobody's
        return False
    document = handler.application_context._sessions.get(session_id)
    if document is None:
        return True  # a new document will be made for this very person
    owner = watch.owner_of(document)
    return owner is not None and owner.session_id == signed_in.session_id


def _check_signed(handler: Any) -> None:
    """Refuse to serve with unsigned Bokeh sessions: their tokens could be made up."""
    if not handler.application.sign_sessions:
        log.error("BOKEH_SIGN_SESSIONS is off; see bi_app/serve.py")
        raise HTTPError(500)
