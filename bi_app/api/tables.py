"""The tables that can be saved, by page: the same figures that the page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bi_app.models.circulation import circulation
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


TABLES: dict[str, Callable[[Viewer, str, Arguments], Table]] = {"overview": overview}
