"""Carry out what people ask for on pages: `app.requests`, one flow run each.

    python -m deployments.requests      look at once, at each new request, and every 15 seconds

A request stays open while Prefect is away, for at most an hour. A kill between starting the run and
noting it starts no second one: Prefect knows the request by its number.
Beside it, in a thread of its own, the mails of accounts are sent (`deployments.letters`).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import psycopg
from psycopg.rows import dict_row

from deployments import letters, pipeline
from warehouse import audit
from warehouse import log as log_lines
from warehouse.database import connect
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.spec import dataset

log = logging.getLogger(__name__)
LOOK_SECONDS, PAUSE_SECONDS = 15.0, 5.0
PATIENCE = "1 hour"
BY = audit.By("carrel", "schedule", "system")
DEPLOYMENT = "ingest/ingest-dataset"
OPEN = """
select request_id, action, subject, asked_at < now() - %s::interval as late
from app.requests where state = 'open' order by request_id limit 20 for update skip locked
"""
END = "update app.requests set state = %s, message = %s, done_at = now() where request_id = %s"


def carry_out() -> int:
    """Start what is asked for; returns how many requests were ended, started or refused."""
    ended = 0
    with connect(row_factory=dict_row) as connection:
        for request in connection.execute(OPEN, [PATIENCE]).fetchall():
            end = _end_of(request)
            if end:
                connection.execute(END, [*end, request["request_id"]])
                outcome: audit.Outcome = "done" if end[0] == "done" else "failed"
                audit.note_late(
                    BY, "run", request["subject"], outcome, request=request["request_id"]
                )
                log.info("request %s of %s: %s", request["request_id"], request["subject"], end[0])
                ended += 1
    return ended


def _end_of(request: dict[str, Any]) -> tuple[str, str] | None:
    """State and message with which a request ends; None while it waits for Prefect."""
    try:
        if request["action"] != "run":
            raise ConfigurationError(f"{request['action']!r} is nothing that can be asked for.")
        name = dataset(request["subject"]).table
    except CarrelError as error:
        return "failed", str(error)[:500]
    try:
        run = pipeline.start(DEPLOYMENT, {"dataset": name}, key=f"request {request['request_id']}")
    except CarrelError as error:
        log.warning("%s", error)
        if request["late"]:
            return "failed", f"Prefect did not take it for {PATIENCE}."
        return None
    return "done", f"flow run {run}"


def watch() -> None:
    """Carry out requests until the process is ended; a database that is away is asked again."""
    while True:
        try:
            with connect(autocommit=True) as connection:
                connection.execute("listen carrel_requests")
                while True:
                    carry_out()
                    for _ in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                        pass
        except psycopg.Error as error:
            log.warning("the database did not answer: %s", type(error).__name__)
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    log_lines.start()
    threading.Thread(target=letters.watch, name="letters", daemon=True).start()
    watch()
