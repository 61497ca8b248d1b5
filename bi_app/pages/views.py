"""Saved views on a page: the browser's acts on them, done in a thread as the person."""

from __future__ import annotations

import asyncio
from typing import Any

from bi_app import words
from bi_app.auth.sessions import SignedIn
from bi_app.models import saved_views
from bi_app.pages.shell import Controls, answering
from warehouse import audit
from warehouse.errors import ConfigurationError


def offer(controls: Controls, signed_in: SignedIn, page: str) -> None:
    """List, save, rename, share and delete views of a page when the browser asks for it."""
    viewer, spoken = signed_in.account.viewer, words.language()

    def work(asked: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        try:
            with audit.through("page", signed_in.address):
                told = {"kind": "done", "text": saved_views.act(viewer, page, asked)}
        except ConfigurationError as refused:
            told = {"kind": "error", "text": refused.message}
        return told, saved_views.listed(viewer, page)

    async def answer_later(event: Any) -> None:
        if event.new.get("act") not in saved_views.ACTS:
            return
        with words.speaking(spoken):
            working = asyncio.to_thread(work, event.new)
            found: Any = await asyncio.gather(working, return_exceptions=True)
        with words.speaking(spoken), answering(controls, signed_in):
            if isinstance(found[0], BaseException):
                raise found[0]
            told, listed = found[0]
            controls.views = {"said": told, "listed": listed, "at": event.new.get("at")}

    controls.param.watch(answer_later, "act")
