"""Accounts: who may sign in and as what; an admin invites, approves, changes and disables."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.models import people
from bi_app.models.selection import firsts_of
from bi_app.pages.shell import Cell, Controls, Page, acting, reacting, sendable, serving
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("People")
SHOWN = {
    "": N_("All"), "active": N_("Active"), "waiting": N_("Waiting"), "invited": N_("Invited"),
    "disabled": N_("Disabled"),
}  # fmt: skip


class People:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        self.viewer = signed_in.account.viewer
        work = partial(answer_of, self.viewer)
        self.controls = Controls(**work(asked))
        reacting(self.controls, signed_in, self.show, work)
        do = partial(people.act, self.viewer, address=signed_in.address)
        acting(self.controls, signed_in, do, work, self.show)

    def show(self, told: dict[str, Any]) -> None:
        """Send an answer."""
        self.controls.param.update(message={}, **told)

    def page(self) -> Page:
        """The cells of the page."""
        cells = [
            Cell("people", "Accounts", people.PEOPLE, kind="table", rows=15, download="people"),
            Cell("acts", "What to do", kind="drawn", span=5),
            Cell("acts_of", "Did of late", kind="table", search=False, span=7, rows=8),
            Cell("invite", "Invite somebody", kind="drawn"),
        ]
        return Page(TITLE, source="people", controls=self.controls, cells=cells)


def answer_of(viewer: Viewer, asked: dict[str, Any]) -> dict[str, Any]:
    """Everything on the page, with the account that is chosen."""
    state = str(asked.get("state") or "")
    everybody = people.found(viewer)
    shown = [p for p in everybody if state in ("", p.state)]
    chosen = next((p for p in everybody if str(p.account_id) == str(asked.get("account"))), None)
    number = chosen.account_id if chosen else ""
    told: dict[str, Any] = {
        "query": {"state": state, "account": number},
        "options": {"flat": True, "selects": [
            {"key": "state", "label": _("Which accounts"), "as": "segments",
             "values": [[key, _(text)] for key, text in SHOWN.items()]}]},
        "cards": people.cards(everybody),
        "tables": {"people": {**sendable(people.people_table(shown, number)),
                              "none": _("No account is in this state.")}},
        "notes": {"people": _("Open one to change it and to see what it did"),
                  "invite": _("They choose the password by a link that is good once")},
        "detail": {"invite": people.invitation()},
    }  # fmt: skip
    if chosen:
        told["tables"]["acts_of"] = {**sendable(people.acts_table(viewer, chosen)),
                                     "none": _("Nothing is on record.")}  # fmt: skip
        told["detail"]["acts"] = people.offered(chosen)
        told["notes"] |= {
            "acts": _("With {email}; each act is put on record", email=chosen.email),
            "acts_of": _("The newest 100 acts of {email}", email=chosen.email),
        }
    return told


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    asked = firsts_of(pn.state.session_args)
    return People(signed_in, asked).page()


serving(__name__, build)
