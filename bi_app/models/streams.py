"""Streams: how far each has come and whether anyone consumes it, for the pipelines page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from bi_app.models.quality import badge, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.streams import streams as known

ABOUT = N_(
    "A stream is consumed by a run that goes on. Lag: records in the log that it has not read yet."
    " Late: events too far behind to be in the sums; they are kept, and can be folded in."
    " Held back: messages that are no event."
)
LOOKS = {N_("consumed"): "good", N_("behind"): "warn", N_("not consumed"): "bad", N_("idle"): ""}
COLUMNS = (
    Column("stream", "Stream"),
    Column("state", "State", "badge"),
    Column("committed_at", "Last batch", "moment"),
    Column("lag", "Lag", "integer"),
    Column("rate", "Records a second", "number"),
    Column("records", "Records", "integer"),
    Column("counted", "Counted", "integer"),
    Column("late", "Late", "integer"),
    Column("duplicates", "Duplicates", "integer"),
    Column("quarantined", "Held back", "integer"),
    Column("watermark", "Watermark", "moment"),
    Column("rebuilt_at", "Rebuilt", "moment"),
    Column("rebuilt_differing", "Sums that differed", "integer"),
)
BEHIND_S = 60.0  # of lag at the present rate
WHOLE = ("lag", "records", "counted", "late", "duplicates", "quarantined", "rebuilt_differing")


def streams(viewer: Viewer) -> Table:
    """Every stream that was ever consumed; none for a viewer who may not see how runs go."""
    titles = {one.table: one.title for one in known().values()}
    found = [_row(r, titles) for r in rows(viewer, "streams")]
    return table("streams", "Streams", COLUMNS, found, [ABOUT])


def _row(found: Any, titles: Mapping[str, str]) -> dict[str, Any]:
    facts, now = found["now"], found["asked_at"]
    return {
        "stream": titles.get(found["stream"], found["stream"]),
        "state": badge(state(facts), LOOKS),
        "committed_at": _ago(now, facts["committed_age"]),
        "watermark": _ago(now, facts["watermark_age"]),
        "rebuilt_at": _ago(now, facts["rebuilt_age"]),
        "rate": facts["rate"],
        **{name: None if facts[name] is None else int(facts[name]) for name in WHOLE},
    }


def state(facts: dict[str, float | None]) -> str:
    """What a stream does now, in one or two words.

    Args:
        facts: its metrics by name.
    """
    lag = facts["lag"] or 0
    if not facts["consumers"]:
        return "not consumed" if lag else "idle"
    return "behind" if lag > BEHIND_S * max(facts["rate"] or 0, 1) else "consumed"


def _ago(now: dt.datetime, seconds: float | None) -> dt.datetime | None:
    """So long before, to the second: that does not change from one question to the next."""
    if seconds is None:
        return None
    at = now - dt.timedelta(seconds=seconds) + dt.timedelta(milliseconds=500)
    return at.replace(microsecond=0)


def none() -> str:
    """What stands where no stream was consumed."""
    return _("No stream was consumed yet.")
