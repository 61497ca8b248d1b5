"""Live sessions, each of which an admin can end, and sign-ins that failed."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.models import sign_ins
from bi_app.models.selection import firsts_of
from bi_app.models.table import Column
from bi_app.pages.shell import Cell, Page, acting, reacting, sendable, serving
from bi_app.pages.trended import Answer, TrendPage
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("Sign-ins")
DAY_COLUMNS = (Column("day", "Day", "date"), Column("value", "Failed", "integer"))


class SignIns(TrendPage):
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        viewer = signed_in.account.viewer
        work = partial(answer_of, viewer, signed_in.session_id)
        super().__init__("attempts", _("failed"), "renewals", work(asked))
        reacting(self.controls, signed_in, self.show, work)
        do = partial(sign_ins.act, viewer, address=signed_in.address)
        acting(self.controls, signed_in, do, work, self.show)

    def page(self) -> Page:
        """The cells of the page."""
        cells = [
            Cell("sessions", "Live sessions", sign_ins.SESSIONS, kind="table", rows=15,
                 download="sessions"),
            Cell("attempts", "Failed sign-ins by day", sign_ins.FAILED, [self.chart.figure],
                 "attempts", DAY_COLUMNS),
            Cell("account", "By account", sign_ins.FAILED, kind="table",
                 download="account"),
            Cell("address", "By address", sign_ins.FAILED, kind="table",
                 download="address"),
        ]  # fmt: skip
        return Page(TITLE, source="sign_ins", controls=self.controls, cells=cells)


def answer_of(viewer: Viewer, own: str, asked: dict[str, Any]) -> Answer:
    """Everything on the page, for the span that is asked for."""
    span = str(asked.get("days"))
    span = span if span in sign_ins.SPANS else "7"
    sessions = sign_ins.live(viewer)
    accounts = sign_ins.tried(viewer, "account", int(span))
    addresses = sign_ins.tried(viewer, "address", int(span))
    within = _(sign_ins.IN_SPANS[span])
    values = [[key, _(text)] for key, text in sign_ins.SPANS.items()]
    tried = _("The most tried first, {span}", span=within)
    none = {"none": _("Nobody failed to sign in.")}
    told = {
        "query": {"days": span},
        "options": {"flat": True, "selects": [
            {"key": "days", "label": _("Failed sign-ins of"), "values": values,
             "as": "segments"}]},
        "cards": sign_ins.cards(sessions, accounts, addresses, within),
        "tables": {
            "sessions": {**sendable(sign_ins.sessions_table(sessions, own)),
                         "none": _("Nobody is signed in.")},
            "account": {**sendable(accounts), **none},
            "address": {**sendable(addresses), **none},
        },
        "notes": {"sessions": _("The one used last first; your own is ended by signing out"),
                  "attempts": _("The last 30 days"),
                  "account": tried, "address": tried},
    }  # fmt: skip
    return Answer(told, list(sign_ins.attempts(viewer)))


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    asked = firsts_of(pn.state.session_args)
    return SignIns(signed_in, asked).page()


serving(__name__, build)
