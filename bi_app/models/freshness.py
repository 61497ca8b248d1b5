"""How fresh and how sound the figures are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bi_app import words
from bi_app.models.store import bare, streamed
from bi_app.queries import rows
from bi_app.words import _
from warehouse.access import Viewer
from warehouse.settings import settings
from warehouse.streams import streams


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
            return _("nothing has been published yet")
        moment = self.complete_to.astimezone(ZoneInfo(settings().timezone))
        if self.quality is None:
            return _("all changes before {moment}", moment=words.moment(moment))
        return _(
            "all changes before {moment}, quality {quality}",
            moment=words.moment(moment),
            quality=self.quality,
        )

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
        if self.held_back:
            return _("Held back:") + " "
        return _("Stale:") + " " if self.stale else ""

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
        text = _(
            "Quality is the health score of what the figures are made of: for each part "
            "(completeness, validity, …) the share of its contract checks that hold, by "
            "severity, then their mean. {passed} of {checks} checks hold.",
            passed=self.passed,
            checks=self.checks,
        )
        if self.held_back:
            text += " " + _(
                "The newest load of {held_back} failed its contract and is held back: these "
                "figures are the last that passed.",
                held_back=", ".join(self.held_back),
            )
        if self.published_anyway:
            text += " " + _(
                "The newest load of {published_anyway} failed its contract; a person published "
                "it all the same, with a reason on record.",
                published_anyway=", ".join(self.published_anyway),
            )
        if self.stale:
            text += " " + _(
                "No change has come in for more than {stale_h} hours.",
                stale_h=words.short(settings().stale_h),
            )
        return text


def freshness(viewer: Viewer, tables: Sequence[str], datasets: Sequence[str] = ()) -> Freshness:
    """Freshness of gold tables and of datasets that are read directly."""
    found = rows(viewer, "freshness", {"tables": bare(tables), "datasets": list(datasets)})[0]
    known = [found["complete_to"], *_watermarks(viewer, tables)]
    return Freshness(
        min((at for at in known if at is not None), default=None),
        found["quality"],
        found["checks"] or 0,
        found["passed"] or 0,
        tuple(found["held_back"] or ()),
        tuple(found["published_anyway"] or ()),
    )


def _watermarks(viewer: Viewer, tables: Sequence[str]) -> list[dt.datetime | None]:
    """Before when all events of the streams are in whose sums are among the tables."""
    if not (live := streamed(viewer, tables)):
        return []
    known = streams()
    return [
        r["newest_at"] - dt.timedelta(seconds=known[r["stream"]].lateness)
        for r in rows(viewer, "stream_fresh", {"tables": live})
        if r["newest_at"] and r["stream"] in known
    ]


def fresh_of(viewer: Viewer, table: str) -> Freshness:
    """Freshness of one table of the catalogue, by its name with the layer."""
    layer, _, name = table.partition(".")
    return freshness(viewer, [table], () if layer == "gold" else [name])
