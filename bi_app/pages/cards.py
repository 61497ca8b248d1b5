"""My cards: what a person saved from Explore, each worked out anew from what the person may see."""

from __future__ import annotations

import asyncio
from typing import Any

from bi_app.auth.sessions import SignedIn
from bi_app.models import store
from bi_app.models.cards import cards
from bi_app.pages.shell import Cell, Controls, Page, answering, every, serving
from bi_app.pages.views import offer
from bi_app.words import N_

TITLE = N_("My cards")
EMPTY = "none"


class Cards:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn) -> None:
        self.signed_in, self.viewer = signed_in, signed_in.account.viewer
        shown = signed_in.prepared
        self.shown: list[dict[str, Any]] = cards(self.viewer) if shown is None else shown
        self.controls = Controls(detail=detail(self.shown))
        self.tables = tuple(sorted({c["table"] for c in self.shown if c["table"]}))
        self.stamp = store.stamp(self.viewer, self.tables)
        offer(self.controls, signed_in, "/explore")
        self.controls.param.watch(self.changed, "views")

    def changed(self, _event: Any) -> None:
        """Show the cards that are left after one was removed."""
        gone = dict(self.controls.act or {})
        if gone.get("act") == "delete_view":
            self.shown = [c for c in self.shown if c["id"] != gone.get("subject")]
            self.controls.detail = detail(self.shown)

    def news(self) -> list[dict[str, Any]] | None:
        """The cards on what was published since; None where nothing was."""
        stamp = store.stamp(self.viewer, self.tables)
        if stamp == self.stamp:
            return None
        self.stamp = stamp
        return cards(self.viewer)

    async def look(self) -> None:
        """Show what a load has changed."""
        found = await asyncio.to_thread(self.news)
        if found is not None:
            with answering(self.controls, self.signed_in):
                kept = {c["id"] for c in self.shown}
                self.shown = [c for c in found if c["id"] in kept]
                self.controls.detail = detail(self.shown)

    def page(self) -> Page:
        """The cells of the page: one a card."""
        every(self.look)
        cells = [Cell(f"card_{c['id']}", c["name"], span=6, kind="drawn") for c in self.shown]
        none = Cell(EMPTY, "No cards yet", kind="drawn")
        return Page(
            TITLE, source="explore", controls=self.controls, cells=[*cells, none], filters=False,
            cards=False,
        )  # fmt: skip


def detail(shown: list[dict[str, Any]]) -> dict[str, Any]:
    """What the browser draws, by cell; where there is no card, how to make one."""
    if not shown:
        return {EMPTY: {"empty": True}}
    return {f"card_{c['id']}": c for c in shown}


def build(signed_in: SignedIn) -> Page:
    """The cards of one person."""
    return Cards(signed_in).page()


serving(__name__, build)
