"""What the pages of the shop share: its stream, its currency, and how amounts are written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from bi_app import words
from bi_app.models.my_loans import SYMBOLS
from bi_app.words import joined
from warehouse.shop import Analysis
from warehouse.streams import Stream, stream

SALES = "retail_sales"
SUMS = f"silver.{SALES}_by"


class NoBranches:
    """What a report of the shop knows of branches (`report.Known`)."""

    @property
    def branches(self) -> Mapping[str, str]:
        """A shop has none."""
        return {}


@cache
def shop() -> Stream:
    """The stream of sales, as it stood when it was first asked for."""
    return stream(SALES)


def analysis() -> Analysis:
    """By what the sales are analysed."""
    found = shop().gold
    assert found is not None, "the stream of sales says how it is analysed"
    return found


def priced(heading: str) -> str:
    """A heading with the shop's currency: Net revenue (GBP)."""
    code = analysis().currency
    return joined(heading, f"({code})") if code else heading


def amount(value: float, places: int = 0) -> str:
    """A sum in the shop's currency: £1,234."""
    code = analysis().currency
    text = words.decimal(abs(value), places)
    sign = "−" if value < 0 else ""
    if words.language() in (words.SOURCE, words.PSEUDO):
        return f"{sign}{SYMBOLS.get(code, f'{code} ') if code else ''}{text}"
    return f"{sign}{text} {SYMBOLS.get(code, code).strip()}".strip()
