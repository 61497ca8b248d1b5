"""Work done before the first visitor: imports, and the arrays that everybody shares."""

from __future__ import annotations

import logging

from bi_app.models.circulation import circulation
from bi_app.models.my_loans import MyLoans, my_loans
from bi_app.models.titles import titles
from warehouse.access import Viewer

log = logging.getLogger(__name__)


def fetch(viewer: Viewer) -> None:
    """Hold what the overview of this viewer's scope needs."""
    titles(viewer, circulation(viewer))


def fetch_mine(viewer: Viewer) -> MyLoans | None:
    """A member's own loans, where a card is linked."""
    return my_loans(viewer) if viewer.role == "member" and viewer.member_key else None


def fetch_ahead() -> None:
    """Fill the cache for admins and members; a database that is away is no reason to fail."""
    for viewer in (Viewer("start", "admin"), Viewer("start", "member")):
        try:
            fetch(viewer)
        except Exception:
            log.exception("could not fetch ahead as %s", viewer.role)
            return
