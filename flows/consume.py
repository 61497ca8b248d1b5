"""Consume: the run that goes on, taking events from the log into the database.

A batch is no task: what the run does is shown in one artifact, brought up to date every few
seconds, and in `ops.stream_metrics`. Cancelled, it commits the batch under way and ends; crashed,
an automation (prefect.yaml) starts another, which takes up where the database says it stands.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from dataclasses import replace
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.context import FlowRunContext

from flows.run import run
from tasks.record import StepEnd, record, refusals
from tasks.stream import report
from warehouse.errors import category, said
from warehouse.streams import Stream, stream

log = logging.getLogger(__name__)
TRIES, PAUSE_S = 10, 30  # after faults that waiting within the run does not heal


@flow(
    name="consume",
    flow_run_name="consume {name}",
    persist_result=False,
    retries=TRIES,
    retry_delay_seconds=PAUSE_S,
)
def consume(name: str = "retail_sales") -> dict[str, int]:
    """Consume a stream until the run is cancelled; what became of the records.

    Raises:
        ConfigurationError: there is no such stream.
        LoadFailed: the database refused; it is tried again.
    """
    subject, began, stop = stream(name), dt.datetime.now(dt.UTC), threading.Event()
    with run() as run_id, refusals():
        try:
            return report.run(subject, run_id, stop=stop, shown=Page(subject, stop).show).fates
        except Exception as fault:
            end = StepEnd("consume", subject.table, "failed", began, None, said(fault))
            record(replace(end, category=category(fault)))
            raise


class Page:
    """The artifact on the run's page."""

    def __init__(self, subject: Stream, stop: threading.Event) -> None:
        """Nothing is there before the first `show`."""
        context = FlowRunContext.get()
        self._run: UUID | None = context.flow_run.id if context and context.flow_run else None
        self._subject, self._stop = subject, stop
        self._artifact: UUID | None = None

    def show(self) -> None:
        """Make the artifact, or bring it up to date. Where Prefect is away the stream goes on.

        Where Prefect took the run for dead (the machine slept) another consumes: this one stops.
        """
        if self._run is None:
            return
        try:
            if self._put(rows(self._subject)):
                self._stop.set()
        except Exception as error:  # httpx's, psycopg's, Prefect's own: none may end the stream
            log.warning("no artifact", extra={"error": type(error).__name__})

    def _put(self, data: list[dict[str, Any]]) -> bool:
        """Put the artifact; whether Prefect holds that the run is over."""
        assert self._run
        with get_client(sync_client=True) as client:
            if self._artifact:
                client.update_artifact(self._artifact, ArtifactUpdate(data=data))
                state = client.read_flow_run(self._run).state
                return bool(state and state.is_final())
            made = client.create_artifact(
                ArtifactCreate(
                    key=key(self._subject),
                    type="table",
                    description=f"How the stream {self._subject.table} stands",
                    data=data,
                    flow_run_id=self._run,
                )
            )
            self._artifact = made.id
            return False


def key(subject: Stream) -> str:
    """The artifact's key in Prefect."""
    return f"stream-{subject.table.replace('_', '-')}"


def rows(subject: Stream) -> list[dict[str, Any]]:
    """The stream's metrics and the watermark of each partition: numbers and names alone."""
    known = report.metrics(subject)  # first: a watermark is never older than they
    return known + [
        {
            "metric": f"watermark of partition {one['partition']}",
            "value": one["watermark"].isoformat(),
            "unit": "time",
            "meaning": "An event before it is too late",
        }
        for one in report.partitions(subject)
        if one["watermark"]
    ]
