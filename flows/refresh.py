"""Refresh: every dataset there is, each after those it names, then all gold."""

from __future__ import annotations

from prefect import flow

from flows.ingest import bring_in_all
from flows.report import conclude_group
from flows.result import GroupResult
from flows.run import run
from flows.steps import publish
from warehouse.spec import datasets


@flow(name="refresh", flow_run_name="refresh", persist_result=False)
def refresh() -> GroupResult:
    """Bring in every dataset whose files are there, in order, and publish all gold.

    A dataset that fails holds those after it; the others go on.
    """
    with run() as run_id:
        members = datasets()
        attempts = bring_in_all(members, run_id)
        return conclude_group(attempts.result(publish(members.values(), run_id)))
