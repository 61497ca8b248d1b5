"""Refresh: every dataset there is, each after those it names, then all gold."""

from __future__ import annotations

from prefect import flow

from flows.ingest import bring_in_all
from flows.result import GroupResult
from flows.run import run
from warehouse.spec import datasets


@flow(name="refresh", flow_run_name="refresh", persist_result=False)
def refresh() -> GroupResult:
    """Bring in every dataset whose files are there, in order, and publish all gold.

    A dataset that fails holds those after it; the others go on.
    """
    with run() as run_id:
        return bring_in_all(datasets(), run_id)
