"""The daily review: a fixed set of figures of the last day, and which of them want a look.

Each part is a file of `sql/daily`: a title, and a select of figure, value, earlier, look, note. All
hold counts and names of datasets, never a row. A part whose tables are not there is left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from tasks.asking import asking
from warehouse.access import Viewer
from warehouse.settings import settings

PARTS = Path(__file__).parent / "sql" / "daily"
TITLE = "-- title: "


@dataclass(frozen=True)
class Figure:
    """One figure: what it counts, now and earlier (None: not compared), and whether to look."""

    part: str
    name: str
    value: Decimal | None
    earlier: Decimal | None
    look: bool
    note: str

    @property
    def change(self) -> str:
        """The change since earlier in per cent, as +12 %; empty where there is none to tell."""
        if not self.earlier or self.value is None:
            return ""
        return f"{100 * (self.value - self.earlier) / abs(self.earlier):+.0f} %"

    @property
    def shown(self) -> tuple[str, str]:
        """Value and earlier as people write them; a revenue has two decimals."""
        return _written(self.value), _written(self.earlier)


def _written(value: Decimal | None) -> str:
    if value is None:
        return ""
    whole = value == value.to_integral_value()
    return f"{value:,.0f}" if whole else f"{value:,.2f}"


def daily(viewer: Viewer, today: dt.date | None = None) -> list[Figure]:
    """The review as the viewer may see it, in the order of its parts.

    Args:
        viewer: an admin or a librarian; others see little of it.
        today: the day after the one that is told; default: today where the schedules are.

    Raises:
        LoadFailed: a part took too long.
    """
    day = today or dt.datetime.now(ZoneInfo(settings().timezone)).date()
    values = {"yesterday": day - dt.timedelta(days=1)}
    return [
        figure
        for path in sorted(PARTS.glob("*.sql"))
        for figure in _part(viewer, path.read_text("utf-8"), values)
    ]


def _part(viewer: Viewer, text: str, values: dict[str, dt.date]) -> Iterator[Figure]:
    title = text.partition("\n")[0].removeprefix(TITLE)
    with asking(viewer) as connection:
        try:
            with connection.transaction():
                rows = connection.execute(text.encode(), values).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return
    for row in rows:
        yield Figure(title, *row)


def wants_a_look(figures: list[Figure]) -> list[Figure]:
    """The figures that a person should look at."""
    return [f for f in figures if f.look]
