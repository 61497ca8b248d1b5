"""Values and figures as people read them, in a PDF or a mail."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

from bi_app import words
from bi_app.models.export import words as bare_words
from bi_app.models.paper.drawing import WITHHELD
from bi_app.models.report import Card, said
from bi_app.models.table import Column
from bi_app.words import _

LONGEST = 300  # characters of a cell
PLACES = {"integer": 0, "number": 1, "percent": 1, "money": 2, "ratio": 2, "seconds": 1}


def below(one: Card) -> str:
    """What stands below a figure: its note, or the change since the period before."""
    if "note" in one:
        return str(one["note"])
    change = one.get("change")
    if change is None:
        return _("no comparison")
    share = words.localized(f"{change:+.1f}")
    return _("{change} % to the period before", change=share)


def written(value: Any, column: Column, *, withheld: bool = False) -> str:
    """A value in a column; a dash where there is none, or that it is withheld."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return _(WITHHELD) if withheld and column.kind in PLACES else "–"
    if column.kind in ("badge", "link"):
        return str(bare_words(value)) or "–"
    if isinstance(value, dt.datetime):
        return words.moment(value)
    if isinstance(value, dt.date):
        return said(value)
    if column.kind in PLACES and isinstance(value, int | float | Decimal):
        return words.decimal(value, PLACES[column.kind])
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
