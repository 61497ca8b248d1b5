"""Saved views on a page: the browser's acts on them, done in a thread as the person."""

from __future__ import annotations

from functools import partial
from typing import Any

from bi_app.auth.sessions import SignedIn
from bi_app.models import saved_views
from bi_app.pages.shell import Controls, attempted, in_thread
from warehouse import audit


def offer(controls: Controls, signed_in: SignedIn, page: str) -> None:
    """List, save, rename, share and delete views of a page when the browser asks for it."""
    viewer, run = signed_in.account.viewer, in_thread(controls, signed_in)

    def work(asked: dict[str, Any]) -> dict[str, Any]:
        with audit.through("page", signed_in.address):
            said = attempted(partial(saved_views.act, viewer, page, asked))
        return {"said": said, "listed": saved_views.listed(viewer, page), "at": asked.get("at")}

    def show(found: dict[str, Any]) -> None:
        controls.views = found

    async def answer_later(event: Any) -> None:
        if event.new.get("act") in saved_views.ACTS:
            await run(partial(work, event.new), show)

    controls.param.watch(answer_later, "act")
