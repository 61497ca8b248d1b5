"""What Carrel holds about the person who is signed in, with its reasons, and a copy of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.models import my_data
from bi_app.models.selection import firsts_of
from bi_app.pages.shell import Cell, Controls, Page, reacting, sendable, serving
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("My data")


class MyData:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        work = partial(answer_of, signed_in.account.viewer)
        self.controls = Controls(**work(asked))
        reacting(self.controls, signed_in, self.show, work)

    def show(self, told: dict[str, Any]) -> None:
        """Send an answer."""
        self.controls.param.update(message={}, **told)

    def page(self) -> Page:
        """The cells of the page."""
        cells = [
            Cell("told", "A copy of it, and what you can do", kind="drawn"),
            Cell("parts", "What is held about you", my_data.DATA, kind="table", search=False,
                 rows=20, download="parts"),
            Cell("records", "Records", my_data.RECORDS, kind="table", rows=15, download="records"),
        ]  # fmt: skip
        return Page(TITLE, source="my_data", controls=self.controls, cells=cells, filters=False)


def answer_of(viewer: Viewer, asked: dict[str, Any]) -> dict[str, Any]:
    """Everything on the page, with the part that is open."""
    found = my_data.counted(viewer)
    named = {c.part.name: c for c in found}
    one = named.get(str(asked.get("part"))) or found[0]
    name = one.part.name
    return {
        "query": {"part": name},
        "options": {"flat": True, "selects": []},
        "cards": my_data.cards(found),
        "tables": {
            "parts": {**sendable(my_data.overview(found, name)), "none": _("Nothing.")},
            "records": {**sendable(my_data.shown_table(viewer, name)),
                        "none": _("Nothing is held of this.")},
        },
        "notes": {"parts": _("Open one to see its records"),
                  "records": counted(one),
                  "told": _("Asked of the database with your own rights")},
        "detail": {"told": my_data.told(viewer, found)},
    }  # fmt: skip


def counted(one: my_data.Counted) -> str:
    """How many records of a part there are, and how many of them are shown."""
    given = {"part": one.part.title, "count": one.shown, "shown": my_data.SHOWN,
             "hidden": one.held - one.shown}  # fmt: skip
    told = {
        (False, False): N_("{part}: {count}"),
        (True, False): N_("{part}: {count}, the newest {shown}"),
        (False, True): N_("{part}: {count}; {hidden} more are kept and not shown"),
        (True, True): N_(
            "{part}: {count}, the newest {shown}; {hidden} more are kept and not shown"
        ),
    }
    return _(told[one.shown > my_data.SHOWN, one.held > one.shown], **given)


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    asked = firsts_of(pn.state.session_args)
    return MyData(signed_in, asked).page()


serving(__name__, build)
