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
from warehouse.errors import CarrelError
from warehouse.settings import settings
from warehouse.streams import streams

PARTS = Path(__file__).parent / "sql" / "daily"
TITLE = "-- title: "
STREAM = "3_stream"
POSITIONS = """
select stream, partition, next_offset, coalesce(held_until > now(), false)
from ops.stream_partitions
"""


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
    found: list[Figure] = []
    for path in sorted(PARTS.glob("*.sql")):
        text = path.read_text("utf-8")
        found += _part(viewer, text, values)
        if path.stem == STREAM:
            found += _waiting(viewer, text)
    return found


def _part(viewer: Viewer, text: str, values: dict[str, dt.date]) -> Iterator[Figure]:
    with asking(viewer) as connection:
        try:
            with connection.transaction():
                rows = connection.execute(text.encode(), values).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return
    for row in rows:
        yield Figure(_title(text), *row)


def _waiting(viewer: Viewer, text: str) -> Iterator[Figure]:
    """How many records of each log nobody has read: PostgreSQL knows positions, the log its end."""
    from tasks.stream.ends import ends

    with asking(viewer) as connection:
        try:
            with connection.transaction():
                rows = connection.execute(POSITIONS).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            return
    for stream in streams().values():
        read = {p: (at, held) for table, p, at, held in rows if table == stream.table}
        try:
            reach = ends(stream)
        except CarrelError as error:
            yield Figure(_title(text), f"{stream.table}: its log", None, None, True, error.message)
            continue
        left = {
            p: max(0, end - read.get(p, (first, False))[0]) for p, (first, end) in reach.items()
        }
        alone = sum(n for p, n in left.items() if not read.get(p, (0, False))[1])
        if read or any(left.values()):
            note = f"{alone:,} of them in partitions that nobody reads" if alone else ""
            name = f"{stream.table}: records waiting"
            yield Figure(_title(text), name, Decimal(sum(left.values())), None, alone > 0, note)


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix(TITLE)


def wants_a_look(figures: list[Figure]) -> list[Figure]:
    """The figures that a person should look at."""
    return [f for f in figures if f.look]
