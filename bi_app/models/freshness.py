"""How fresh and how sound the figures are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bi_app.models.store import bare
from bi_app.queries import rows
from warehouse.access import Viewer
from warehouse.settings import settings


@dataclass(frozen=True)
class Freshness:
    """All changes before `complete_to` are in.

    `quality` is the health score of the datasets that the figures are made of, 0 to 100 and rounded
    down; of several, the mean by their weights. None where nothing has been judged.
    """

    complete_to: dt.datetime | None
    quality: int | None
    checks: int
    passed: int
    held_back: tuple[str, ...]
    published_anyway: tuple[str, ...] = ()

    @property
    def statement(self) -> str:
        """As a sentence's end: "all changes before 1 Mar 2026, 02:10 are in, quality 97"."""
        if self.complete_to is None:
            return "nothing has been published yet"
        moment = self.complete_to.astimezone(ZoneInfo(settings().timezone))
        text = f"all changes before {moment.day} {moment:%b %Y, %H:%M}"
        return text if self.quality is None else f"{text}, quality {self.quality}"

    @property
    def stale(self) -> bool:
        """Whether changes have not come in for longer than the setting allows."""
        if self.complete_to is None:
            return False
        age = dt.datetime.now(dt.UTC) - self.complete_to
        return age > dt.timedelta(hours=settings().stale_h)

    @property
    def aged(self) -> bool:
        """Whether the figures are greyed: stale, or held back."""
        return bool(self.held_back) or self.stale

    @property
    def mark(self) -> str:
        """What stands before the statement."""
        return "Held back: " if self.held_back else "Stale: " if self.stale else ""

    @property
    def footer(self) -> str:
        """The statement as a card carries it."""
        text = f"{self.mark}{self.statement}"
        return text[:1].upper() + text[1:]

    @property
    def notes(self) -> dict[str, str]:
        """The texts of an open page that change when a load lands, by the name of their place."""
        return {"fresh": f"{self.mark}{self.statement}", "foot": self.footer}

    @property
    def explanation(self) -> str:
        """What quality means here, and what is held back."""
        text = (
            "Quality is the health score of what the figures are made of: for each part"
            " (completeness, validity, …) the share of its contract checks that hold, by severity,"
            f" then their mean. {self.passed} of {self.checks} checks hold."
        )
        if self.held_back:
            text += (
                f" The newest load of {', '.join(self.held_back)} failed its contract and is held"
                " back: these figures are the last that passed."
            )
        if self.published_anyway:
            text += (
                f" The newest load of {', '.join(self.published_anyway)} failed its contract; a"
                " person published it all the same, with a reason on record."
            )
        if self.stale:
            text += f" No change has come in for more than {settings().stale_h:g} hours."
        return text


def freshness(viewer: Viewer, tables: Sequence[str], datasets: Sequence[str] = ()) -> Freshness:
    """Freshness of gold tables and of datasets that are read directly."""
    found = rows(viewer, "freshness", {"tables": bare(tables), "datasets": list(datasets)})[0]
    return Freshness(
        found["complete_to"],
        found["quality"],
        found["checks"] or 0,
        found["passed"] or 0,
        tuple(found["held_back"] or ()),
        tuple(found["published_anyway"] or ()),
    )


def fresh_of(viewer: Viewer, table: str) -> Freshness:
    """Freshness of one table of the catalogue, by its name with the layer."""
    layer, _, name = table.partition(".")
    return freshness(viewer, [table]) if layer == "gold" else freshness(viewer, (), [name])
