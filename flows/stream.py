"""What is done to streams by the calendar: analyse, rebuild and compare, let go, review."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext
from prefect.states import Completed

from flows.run import run
from tasks.record import StepEnd, record, refusals
from tasks.shop import analyse
from tasks.stream import rebuild, retain, review
from warehouse.streams import Stream, streams

log = logging.getLogger(__name__)
DIFFERED = "Completed, with differences"
WITH_FAULTS = "Completed, with faults"


@flow(name="rebuild-streams", flow_run_name="rebuild streams", persist_result=False)
def rebuild_streams() -> Any:
    """Make silver anew from bronze, for every stream; say how many sums differed.

    Ends in the state "Completed, with differences" where a sum was wrong: it is right now, and an
    alert is opened.

    Raises:
        LoadFailed: bronze lacks events, or the database refused.
        Busy: a stream is being restated or let go of.
    """
    found = []
    with run():
        for subject in streams().values():
            began = dt.datetime.now(dt.UTC)
            with refusals():
                done = rebuild.rebuild(subject)
            found.append({"stream": subject.table, **vars(done)})
            # As `verify`: an alert of that ends by itself when the next ones find nothing.
            _told(subject, "verify", began, done.events, _difference(done.differing))
    _leave("stream-rebuild", "Sums made anew, and how many were wrong", found)
    return _ending(found, DIFFERED, [f["stream"] for f in found if f["differing"]])


@flow(name="restate-streams", flow_run_name="restate streams", persist_result=False)
def restate_streams() -> int:
    """Fold in the events that came too late, of every stream; how many there were.

    Their sums are stamped as restated. It has no calendar: a person decides when.

    Raises:
        LoadFailed: bronze lacks late events, or the database refused.
        Busy: a stream is being rebuilt or let go of.
    """
    found: list[dict[str, Any]] = []
    with run():
        for subject in streams().values():
            began = dt.datetime.now(dt.UTC)
            with refusals():
                events = rebuild.restate(subject)
            found.append({"stream": subject.table, "late events": events})
            _told(subject, "publish", began, events)
    _leave("stream-restatement", "Late events that were folded in", found)
    return sum(int(one["late events"]) for one in found)


@flow(name="retain-streams", flow_run_name="retain streams", persist_result=False)
def retain_streams() -> int:
    """Carry out the retention of every stream, and put past months together; how much went.

    Raises:
        LoadFailed: the database refused.
        Busy: a stream is being rebuilt or restated.
    """
    found: list[dict[str, Any]] = []
    with run() as run_id:
        for subject in streams().values():
            began = dt.datetime.now(dt.UTC)
            with refusals():
                went = retain.retain(subject, run_id)
            found += [
                {"stream": subject.table, "what": one.what, "name": one.name,
                 "reason": one.reason, "rows": one.rows, "bytes": one.bytes}
                for one in went
            ]  # fmt: skip
            _told(subject, "retain", began, len(went))
    _leave("stream-retention", "What went", found)
    return len(found)


@flow(name="review-checkpoints", flow_run_name="review checkpoints", persist_result=False)
def review_checkpoints() -> Any:
    """Look whether positions and log fit, for every stream, and clear what is left over.

    Ends in the state "Completed, with faults" where a person must look; an alert is opened.

    Raises:
        LoadFailed: the database refused.
    """
    found: list[dict[str, Any]] = []
    faulty = []
    with run():
        for subject in streams().values():
            began = dt.datetime.now(dt.UTC)
            with refusals():
                done = review.review(subject)
            for fault in done.faults:
                log.warning("%s: %s", subject.table, fault)
            faulty += [subject.table] if done.faults else []
            found += [{"stream": subject.table, "found": fault, "cleared": ""}
                      for fault in done.faults]  # fmt: skip
            found += [{"stream": subject.table, "found": name, "cleared": count}
                      for name, count in done.cleared.items()]  # fmt: skip
            _told(subject, "review", began, len(done.cleared), "; ".join(done.faults) or None)
    _leave("stream-checkpoints", "Checkpoints: what does not fit, and what was cleared", found)
    return _ending(found, WITH_FAULTS, faulty)


@flow(name="analyse-streams", flow_run_name="analyse streams", persist_result=False)
def analyse_streams() -> list[dict[str, Any]]:
    """Make gold of the sales anew, for every stream that has moved since the last time.

    Raises:
        LoadFailed: the database refused.
    """
    found: list[dict[str, Any]] = []
    with run():
        for subject in streams().values():
            if not analyse.is_due(subject):
                continue
            began = dt.datetime.now(dt.UTC)
            with refusals():
                done = analyse.analyse(subject)
            found.append({"stream": subject.table, "lines": done.lines,
                          "all sales before": str(done.complete_to)})  # fmt: skip
            _told(subject, "publish", began, sum(done.rows.values()))
    _leave("stream-analysis", "Sales that were analysed", found)
    return found


def _difference(count: int) -> str | None:
    return f"{count:,} sums differed from bronze; they are right now" if count else None


def _told(
    subject: Stream, step: str, began: dt.datetime, rows: int, fault: str | None = None
) -> None:
    """Keep the step; what a person must know of is kept as a failure, from which an alert comes."""
    state: Any = "failed" if fault else "done"
    category: Any = "validation" if fault else None
    record(StepEnd(step, subject.table, state, began, rows, fault, category))


def _leave(key: str, description: str, rows: list[dict[str, Any]]) -> None:
    if FlowRunContext.get() is not None and rows:
        create_table_artifact(rows, key=key, description=description)


def _ending(found: list[dict[str, Any]], name: str, subjects: list[str]) -> Any:
    """What was found, in a state that names the streams that need a look."""
    if FlowRunContext.get() is None or not subjects:
        return found
    return Completed(name=name, message=f"{name}: {', '.join(subjects)}", data=found)
