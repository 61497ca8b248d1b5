"""Carry out what people ask for on pages: `app.requests`.

run      bring a dataset in                                     a flow run
open     lay held-back records before the asker, to be edited   here
replay   send them again as edited                              a flow run
publish  publish in spite of the contract                       here

    python -m deployments.requests      look at once, at each new request, and every 15 seconds

A request stays open while Prefect is away, for at most an hour. A kill between starting the run and
noting it starts no second one: Prefect knows the request by its number.
Beside it, in a thread of its own, the mails of accounts are sent (`deployments.letters`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from deployments import letters, pipeline
from deployments.sign_ins import viewer
from warehouse import audit
from warehouse import log as log_lines
from warehouse.database import connect
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.spec import Dataset, dataset

Connection = psycopg.Connection[dict[str, Any]]
Request = Mapping[str, Any]
End = tuple[str, str]
log = logging.getLogger(__name__)
LOOK_SECONDS, PAUSE_SECONDS = 15.0, 5.0
PATIENCE = "1 hour"
BY = audit.By("carrel", "schedule", "system")
NOTED = {"open": "open_records", "replay": "replay", "publish": "publish_anyway"}
OPEN = """
select request_id, action, subject, asked_by, detail, asked_at < now() - %s::interval as late
from app.requests where state = 'open' order by request_id limit 20 for update skip locked
"""
NEWEST = """
select verdict_id from quality.verdicts where dataset = %s order by verdict_id desc limit 1
"""
END = "update app.requests set state = %s, message = %s, done_at = now() where request_id = %s"


def carry_out() -> int:
    """Start what is asked for; returns how many requests were ended, started or refused."""
    ended = 0
    with connect(row_factory=dict_row) as connection:
        for request in connection.execute(OPEN, [PATIENCE]).fetchall():
            end = _end_of(connection, request)
            if end:
                connection.execute(END, [*end, request["request_id"]])
                outcome: audit.Outcome = "done" if end[0] == "done" else "failed"
                act = NOTED.get(request["action"], "run")
                number = request["request_id"]
                audit.note_late(BY, act, request["subject"], outcome, request=number)
                log.info("request %s of %s: %s", request["request_id"], request["subject"], end[0])
                ended += 1
        _forget(connection)
    return ended


def _forget(connection: psycopg.Connection[Any]) -> None:
    """Close records that have been open before somebody for a day."""
    connection.execute("delete from app.held_records where opened_at < now() - interval '1 day'")


def _end_of(connection: Connection, request: Request) -> End | None:
    """State and message with which a request ends; None while it waits for Prefect."""
    try:
        act = ACTS.get(request["action"])
        if act is None:
            raise ConfigurationError(f"{request['action']!r} is nothing that can be asked for.")
        with connection.transaction():  # what a refused act wrote is taken back
            return act(connection, request, dataset(request["subject"]))
    except CarrelError as error:
        return "failed", str(error)[:500]
    except psycopg.OperationalError:  # the database is away: it is asked again
        raise
    except Exception:  # else this one would be tried for ever, and those behind it never
        log.exception("request %s of %s", request["request_id"], request["subject"])
        return "failed", "Something went wrong; the log of the requests has it."


def _run(_: Connection, request: Request, chosen: Dataset) -> End | None:
    """Bring the dataset in."""
    return _start("ingest/ingest-dataset", request, {"dataset": chosen.table})


def _open(connection: Connection, request: Request, chosen: Dataset) -> End:
    """Lay held-back records before the asker."""
    from tasks.repair import open_records

    who, rule = _asker(request), request["detail"].get("rule") or None
    return "done", str(open_records(connection, chosen, request["request_id"], who, rule))


def _replay(_: Connection, request: Request, chosen: Dataset) -> End | None:
    """Send the records again that the asker edited."""
    _asker(request)
    parameters = {"dataset": chosen.table, "request": request["request_id"]}
    return _start("replay/replay-dataset", request, parameters)


def _publish(connection: Connection, request: Request, chosen: Dataset) -> End:
    """Put the asker's decision on record, and publish; the verdict that was seen, and no newer."""
    from quality.overrides import override
    from tasks.publish import publish

    who, detail = _asker(request), request["detail"]
    newest = connection.execute(NEWEST, [chosen.table]).fetchone()
    if not newest or newest["verdict_id"] != detail.get("verdict"):
        raise ConfigurationError(
            f"{chosen.table} has been judged anew since.", remedy="Look at it again, then decide."
        )
    override(chosen, who=who, reason=str(detail.get("reason") or ""))
    run_id = str(uuid4())
    with log_lines.during(run_id):
        published = publish([chosen], run_id)
    told = ", ".join(f"gold.{p.table} {p.state}" for p in published)
    return "done", told or "no gold table reads it"


def _asker(request: Request) -> str:
    """Who asks, an admin also now.

    Raises:
        ConfigurationError: the account is gone, or is no admin's any more.
    """
    who = viewer(request["asked_by"])
    if who.role != "admin":
        raise ConfigurationError(f"{who.user} is no admin any more.")
    return who.user


def _start(deployment: str, request: Request, parameters: dict[str, object]) -> End | None:
    """Have a flow run; None while Prefect is away."""
    try:
        run = pipeline.start(deployment, parameters, key=f"request {request['request_id']}")
    except CarrelError as error:
        log.warning("%s", error)
        return ("failed", f"Prefect did not take it for {PATIENCE}.") if request["late"] else None
    return "done", f"flow run {run}"


ACTS: dict[str, Callable[[Connection, Request, Dataset], End | None]] = {
    "run": _run,
    "open": _open,
    "replay": _replay,
    "publish": _publish,
}


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
