"""The tables that can be saved, by page: the same figures that the page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bi_app.models import explore
from bi_app.models.circulation import circulation
from bi_app.models.my_loans import my_loans
from bi_app.models.overview import View
from bi_app.models.selection import from_arguments, select
from bi_app.models.table import Table
from bi_app.models.titles import titles
from warehouse.access import Viewer

Arguments = Mapping[str, Any]


def overview(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of the overview for the choice in the arguments.

    Raises:
        KeyError: there is no such table, or nothing to save.
    """
    known = circulation(viewer)
    if known.empty:
        raise KeyError(name)
    chosen = select(from_arguments(arguments), known.bounds)
    return View(known, titles(viewer, known), chosen).table(name)


def mine(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of a member's own loans.

    Raises:
        KeyError: there is no such table, or no history was agreed to.
    """
    found = my_loans(viewer)
    if name == "past" and not found.history_since:
        raise KeyError(name)
    return found.table(name)


def explored(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """Rows (at most 10,000) or counts of a table of the catalogue.

    Raises:
        KeyError: there is no such table.
    """
    asked = {k: v[0].decode("utf-8", "replace") for k, v in arguments.items()}
    known = explore.catalogue(viewer)
    if asked.get("table") not in known:
        raise KeyError(name)
    question = replace(explore.ask(viewer, asked, known), page=0)
    tables = {
        "rows": lambda: explore.page_of_rows(viewer, question, explore.SAVED_ROWS),
        "counts": lambda: explore.counts(viewer, question),
    }
    return tables[name]()


TABLES: dict[str, Callable[[Viewer, str, Arguments], Table]] = {
    "overview": overview,
    "my_loans": mine,
    "explore": explored,
}
