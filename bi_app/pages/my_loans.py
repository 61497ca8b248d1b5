"""A member's own card: what is on loan, holds, charges, and the history that was agreed to."""

from __future__ import annotations

from bi_app import words
from bi_app.auth.sessions import SignedIn
from bi_app.models.freshness import freshness
from bi_app.models.my_loans import DEFINITIONS, READS, MyLoans, my_loans
from bi_app.pages.shell import Cell, Controls, Page, sendable, serving
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("My loans")
FRESH = ("gold.library_circulation_public",)
UNLINKED = (
    N_("No library card is linked to this account"),
    N_("Ask at the desk to have your card linked; your loans appear here then."),
)


def build(signed_in: SignedIn) -> Page:
    """The page of the signed-in member."""
    viewer: Viewer = signed_in.account.viewer
    fresh = freshness(viewer, FRESH, READS)
    if viewer.member_key is None:
        return Page(TITLE, fresh, empty=UNLINKED)
    mine: MyLoans = signed_in.prepared or my_loans(viewer)
    shown = [t for t in ("loans", "holds", "fines", "past") if t != "past" or mine.history_since]
    controls = Controls(
        cards=mine.cards(),
        notes=notes(mine),
        tables={name: sendable(mine.table(name)) for name in shown},
    )
    cells = [cell(name, mine) for name in shown]
    return Page(TITLE, fresh, source="my_loans", controls=controls, cells=cells, filters=False)


def cell(name: str, mine: MyLoans) -> Cell:
    """One table of the page."""
    definition = DEFINITIONS.get(name, "")
    span = 6 if name in ("holds", "fines") else 12
    title = mine.table(name).title
    return Cell(
        name, title, definition, span=span, download=name, kind="table", search=name == "past"
    )


def notes(mine: MyLoans) -> dict[str, str]:
    """Texts below the titles."""
    since = mine.history_since
    kept = (
        _("Loans since {day}, when you agreed to keep them", day=words.day(since)) if since else ""
    )
    shown = (
        _("The first due on top.")
        if since
        else _(
            "The first due on top. Past loans are not shown, because you have not asked for a"
            " history."
        )
    )
    return {
        "loans": shown,
        "holds": _("Waiting or ready to collect"),
        "fines": _("Newest first"),
        "past": kept,
    }


serving(__name__, build)
