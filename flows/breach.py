"""Breach: look for alerts when a run ends, and tell by the event `quality.breach`."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable

from prefect.context import FlowRunContext
from prefect.events import emit_event
from sqlalchemy.exc import SQLAlchemyError

from quality.alerts import Breach, raise_alerts
from warehouse.errors import CarrelError, said

log = logging.getLogger(__name__)
EVENT = "quality.breach"


def look(run_id: str, *, now: dt.datetime | None = None) -> None:
    """Open, count and close alerts, and emit an event for each that people are to be told of.

    Where that fails, it is logged and not raised: no load fails because of its alerts. The next
    look finds what this one missed.
    """
    try:
        breaches = raise_alerts(run_id=run_id, now=now)
    except (CarrelError, SQLAlchemyError) as error:
        log.error("alerts were not looked for: %s", said(error))
        return
    for breach in breaches:
        log.warning("alert %s %s: %s", breach.alert_id, breach.occasion, breach.title)
    emit(breaches)


def emit(breaches: Iterable[Breach]) -> None:
    """An event a breach, from a flow run; its payload holds names and counts alone."""
    if FlowRunContext.get() is None:
        return
    for breach in breaches:
        emit_event(
            EVENT,
            resource={
                "prefect.resource.id": f"carrel.alert.{breach.alert_id}",
                "prefect.resource.name": breach.title,
                "carrel.dataset": breach.dataset or "",
                "carrel.severity": breach.severity,
                "carrel.kind": breach.kind,
                "carrel.occasion": breach.occasion,
            },
            payload={"episode": breach.episode, "checks": breach.checks, "held": breach.held},
        )
