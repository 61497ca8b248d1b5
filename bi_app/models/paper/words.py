"""Values and figures as people read them, in a PDF or a mail."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

from bi_app.models.export import words
from bi_app.models.paper.drawing import WITHHELD
from bi_app.models.report import Card, said
from bi_app.models.table import Column

LONGEST = 300  # characters of a cell
PLACES = {"integer": 0, "number": 1, "percent": 1, "money": 2, "ratio": 2, "seconds": 1}


def below(one: Card) -> str:
    """What stands below a figure: its note, or the change since the period before."""
    if "note" in one:
        return str(one["note"])
    change = one.get("change")
    return "no comparison" if change is None else f"{change:+.1f} % to the period before"


def written(value: Any, column: Column, *, withheld: bool = False) -> str:
    """A value in a column; a dash where there is none, or that it is withheld."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return WITHHELD if withheld and column.kind in PLACES else "–"
    if column.kind in ("badge", "link"):
        return str(words(value)) or "–"
    if isinstance(value, dt.datetime):
        return f"{value.day} {value:%b %Y, %H:%M}"
    if isinstance(value, dt.date):
        return said(value)
    if column.kind in PLACES and isinstance(value, int | float | Decimal):
        return f"{value:,.{PLACES[column.kind]}f}"
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
