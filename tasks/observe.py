"""Observe: profile what a run changed, measure the run, and compare it with the runs before.

What is observed decides nothing about the run.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from quality.anomalies import detect
from quality.metrics import Loads, gather, loads_of, mend, mended
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

    A run that brought no file changes nothing here. One that sent held-back records again mends the
    metrics of the days on which they first came, and those days are judged anew.

    Raises:
        ConfigurationError: the setting `closed_days` holds what is no day.
    """
    loads = loads_of(dataset, run_id)
    if not loads.load_ids:
        return Observed()
    made = profile(dataset, run_id=run_id) if loads.changes_rows else None
    measured, days = _measured(dataset, run_id, loads, made.newest if made else None)
    today = _today()
    seen = Observed(
        len(made.columns) if made else 0,
        measured,
        tuple(made.drifted) if made else (),
        tuple(line for day in days for line in detect(dataset, day, run_id, over=day < today)),
    )
    for line in (*seen.drifted, *seen.unusual):
        log.warning("%s: %s", dataset.table, line, extra={"dataset": dataset.table})
    return seen


def _measured(
    dataset: Dataset, run_id: str, loads: Loads, newest: dt.datetime | None
) -> tuple[int, list[dt.date]]:
    """How many metrics were kept or mended, and the days that they are of."""
    first_runs = mended(dataset, run_id)
    if not first_runs:
        day = loads.last_at.astimezone(ZoneInfo(settings().timezone)).date()
        return len(gather(dataset, run_id, loads, newest)), [day]
    done = [mend(dataset, run, load_ids) for run, load_ids in first_runs.items()]
    return sum(len(found) for _, found in done), sorted({day for day, found in done if found})


def _today() -> dt.date:
    return dt.datetime.now(ZoneInfo(settings().timezone)).date()


def look_back(names: list[str] | None = None, day: dt.date | None = None) -> dict[str, list[str]]:
    """Judge datasets for days that are over, so that a load that never came is seen too.

    Args:
        names: tables; default: every dataset.
        day: the last day judged; default: yesterday in the settings' time zone.

    Returns:
        Sentences by dataset, of those that have any.
    """
    today = _today()
    last = day or today - dt.timedelta(days=1)
    known = datasets()
    found = {name: detect(known[name], last, over=last < today) for name in names or known}
    return {name: lines for name, lines in found.items() if lines}
