"""Deliver: what is late becomes an alert, what passed is closed, and what waits is sent."""

from __future__ import annotations

import datetime as dt

from prefect import flow

from flows.breach import look
from flows.run import run
from tasks.outbox import deliver


@flow(name="deliver-alerts", flow_run_name="deliver alerts", persist_result=False)
def deliver_alerts() -> int:
    """Send the mails and webhooks that are due; how many went out.

    Raises:
        CarrelError: some could not be sent; they are tried again later.
    """
    with run() as run_id:
        look(run_id, now=dt.datetime.now(dt.UTC))
        return deliver().require_success().sent
