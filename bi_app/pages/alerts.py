"""The inbox of alerts: what is wrong, since when, who is on it; an admin takes it up."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.models import alerts, pipelines
from bi_app.models.quality import Row
from bi_app.models.selection import firsts_of
from bi_app.pages.shell import (
    Cell,
    Controls,
    Page,
    acting,
    following,
    reacting,
    sendable,
    serving,
)
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("Alerts")
SHOWN = [["standing", N_("Standing")], ["all", N_("All")]]


class Inbox:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        self.viewer = signed_in.account.viewer
        work = partial(answer_of, self.viewer)
        self.controls = Controls(**work(asked))
        reacting(self.controls, signed_in, self.show, work)
        acting(
            self.controls,
            signed_in,
            partial(alerts.act, self.viewer, address=signed_in.address),
            work,
            self.show,
        )
        following(self.controls, partial(pipelines.happened, self.viewer), work, self.show)

    def show(self, told: dict[str, Any]) -> None:
        """Send an answer."""
        self.controls.param.update(message={}, **told)

    def page(self) -> Page:
        """The cells of the page."""
        cells = [
            Cell("alerts", "Inbox", alerts.ALERTS, kind="table", rows=15, download="alerts"),
            Cell("acts", "What to do", kind="drawn", span=5),
            Cell("parts", "What it is made of", kind="table", search=False, span=7),
            Cell("events", "Record", kind="table", search=False),
        ]
        return Page(TITLE, source="alerts", controls=self.controls, cells=cells)


def answer_of(viewer: Viewer, asked: dict[str, Any]) -> dict[str, Any]:
    """Everything on the page, with the alert that is chosen."""
    everything = asked.get("shown") == "all"
    found = alerts.inbox(viewer, everything=everything)
    chosen = next((r for r in found if str(r["alert_id"]) == str(asked.get("alert"))), None)
    alert = chosen["alert_id"] if chosen else ""
    told: dict[str, Any] = {
        "query": {"shown": "all" if everything else "standing", "alert": alert},
        "options": {"flat": True, "selects": [
            {"key": "shown", "label": _("Which alerts"), "as": "segments",
             "values": [[key, _(text)] for key, text in SHOWN]}]},
        "cards": alerts.cards(found),
        "tables": {"alerts": {**sendable(alerts.inbox_table(found, alert)),
                              "none": _("Nothing is wrong that anybody need look at.")}},
        "notes": {"alerts": _(
            "The worst and oldest first; open one to see its parts and its record")},
        "detail": {},
    }  # fmt: skip
    return told if chosen is None else _with_chosen(viewer, told, chosen)


def _with_chosen(viewer: Viewer, told: dict[str, Any], chosen: Row) -> dict[str, Any]:
    alert = chosen["alert_id"]
    told["tables"] |= {
        "parts": sendable(alerts.parts_table(viewer, alert)),
        "events": sendable(alerts.events_table(viewer, alert)),
    }
    told["notes"] |= {"parts": chosen["title"], "events": _("Every change, newest first"),
                      "acts": _("Each act is put on record with your name")}  # fmt: skip
    if viewer.role == "admin":
        told["detail"] = {"acts": {**alerts.offered(chosen), "people": alerts.staff(viewer)}}
    return told


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    asked = firsts_of(pn.state.session_args)
    return Inbox(signed_in, asked).page()


serving(__name__, build)
