"""Observe: profile what a run changed, measure the run, and compare it with the runs before.

What is observed decides nothing about the run.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from quality.anomalies import detect
from quality.metrics import gather, loads_of
from quality.profile import profile
from warehouse.settings import settings
from warehouse.spec import Dataset, datasets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observed:
    """What was seen: columns profiled, metrics gathered, sentences about drift and anomalies."""

    columns: int = 0
    metrics: int = 0
    drifted: tuple[str, ...] = ()
    unusual: tuple[str, ...] = ()


def observe(dataset: Dataset, run_id: str) -> Observed:
    """Keep a profile, if rows changed, and the metrics of a run; tell what is unlike before.

    A run that brought no file changes nothing here.

    Raises:
        ConfigurationError: the setting `closed_days` holds what is no day.
    """
    loads = loads_of(dataset, run_id)
    if not loads.load_ids:
        return Observed()
    made = profile(dataset, run_id=run_id) if loads.changes_rows else None
    measured = gather(dataset, run_id, loads, made.newest if made else None)
    day = loads.last_at.astimezone(ZoneInfo(settings().timezone)).date()
    seen = Observed(
        len(made.columns) if made else 0,
        len(measured),
        tuple(made.drifted) if made else (),
        tuple(detect(dataset, day, run_id)),
    )
    for line in (*seen.drifted, *seen.unusual):
        log.warning("%s: %s", dataset.table, line, extra={"dataset": dataset.table})
    return seen


def look_back(names: list[str] | None = None, day: dt.date | None = None) -> dict[str, list[str]]:
    """Judge datasets for days that are over, so that a load that never came is seen too.

    Args:
        names: tables; default: every dataset.
        day: the last day judged; default: yesterday in the settings' time zone.

    Returns:
        Sentences by dataset, of those that have any.
    """
    now = dt.datetime.now(ZoneInfo(settings().timezone))
    last = day or now.date() - dt.timedelta(days=1)
    known = datasets()
    found = {name: detect(known[name], last) for name in names or known}
    return {name: lines for name, lines in found.items() if lines}
