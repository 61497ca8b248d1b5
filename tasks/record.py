"""Record: write each step of each run to ops.steps, in a transaction of its own."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from warehouse.database import engine
from warehouse.errors import Category, LoadFailed, said
from warehouse.log import current_run

log = logging.getLogger(__name__)

_RECORD = text(
    "insert into ops.steps (run_id, dataset, step, state, started_at, rows, message, category)"
    " values (:run_id, :dataset, :step, :state, :started_at, :rows, :message, :category)"
)
_LOADED = text(
    "select distinct dataset from ops.loads where dataset = any(:names) and state = 'done'"
)


@dataclass(frozen=True)
class StepEnd:
    """A step that is over: when it started, how it went, how many rows it had.

    `category` says of a failed one what kind of fault it was.
    """

    step: str
    dataset: str | None
    state: Literal["done", "failed", "held"]
    started_at: dt.datetime
    rows: int | None = None
    message: str | None = None
    category: Category | None = None

    def __str__(self) -> str:
        said = f"{self.step} {self.dataset or 'gold'}: {self.state}"
        return f"{said}: {self.message}" if self.message else said


@contextmanager
def refusals() -> Iterator[None]:
    """Tell what the database refuses as a LoadFailed, without the values that it may quote.

    Raises:
        LoadFailed: the block raised an error of PostgreSQL's.
    """
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        raise LoadFailed(f"The database refused: {said(error)}") from error


def record(end: StepEnd) -> None:
    """Keep a step of the run under way, and log it."""
    facts = asdict(end)
    seconds = (dt.datetime.now(dt.UTC) - end.started_at).total_seconds()
    level = logging.INFO if end.state == "done" else logging.WARNING
    shown = {k: facts[k] for k in ("step", "dataset", "state", "rows")}
    log.log(level, "%s", end, extra=shown | {"seconds": round(seconds, 3)})
    with engine().begin() as connection:
        connection.execute(_RECORD, facts | {"run_id": current_run() or "none"})


def hold(dataset: str, reason: str) -> str:
    """Record that a dataset was not started, and why; returns the reason."""
    record(StepEnd("ingest", dataset, "held", dt.datetime.now(dt.UTC), message=reason))
    return reason


def loaded(names: Collection[str]) -> set[str]:
    """Which of the datasets have ever been loaded."""
    with engine().connect() as connection:
        return set(connection.execute(_LOADED, {"names": list(names)}).scalars())
