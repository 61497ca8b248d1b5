"""Retain: let go of what specs say is too old, dataset by dataset, and refresh gold after it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from prefect import flow

from flows.run import run
from tasks.publish import publish
from tasks.record import StepEnd, hold, record
from tasks.retention import Due, drop_strays
from tasks.retention import retain as let_go
from warehouse import audit, audit_chain
from warehouse.errors import Busy
from warehouse.settings import settings
from warehouse.spec import Dataset, datasets


@flow(name="retain", flow_run_name="retain", persist_result=False)
def retain() -> int:
    """Carry out the retention of every dataset; return how many things went.

    A dataset that is being loaded is left for the next run.

    Raises:
        LoadFailed: the database refused.
    """
    with run() as run_id:
        return len(carry_out(datasets().values(), run_id))


def carry_out(members: Iterable[Dataset], run_id: str, *, everything: bool = True) -> list[Due]:
    """Carry out the retention of some datasets, then publish the gold that forgot persons.

    Args:
        members: the datasets.
        run_id: the run's id.
        everything: kept files of no dataset too.
    """
    went: list[Due] = []
    forgot: list[Dataset] = []
    for dataset in members:
        began = dt.datetime.now(dt.UTC)
        try:
            due = let_go(dataset, run_id)
        except Busy as error:
            hold(dataset.table, str(error))
            continue
        if due:
            record(StepEnd("retain", dataset.table, "done", began, len(due)))
        went += due
        forgot += [dataset] if any(one.what == "personal" for one in due) else []
    went += drop_strays(run_id) if everything else []
    if everything:
        _let_go_of_acts()
    if forgot:
        publish(forgot, run_id)
    return went


def _let_go_of_acts() -> None:
    """Cut the audit log to the days that it is kept, and put that on record."""
    days = settings().audit_days
    if days is None:
        return
    went = audit_chain.cut(dt.datetime.now(dt.UTC) - dt.timedelta(days=days))
    if went:
        by = audit.By("carrel", "schedule", "system")
        audit.note(by, "retain", "audit log", entries=went, days=days)
