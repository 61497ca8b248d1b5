"""Replay: send records that quarantine holds again; judge, observe and publish as after a load."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prefect import flow

from flows.ingest import DatasetName, load, look_on, require_contract
from flows.report import conclude
from flows.result import IngestResult
from flows.run import run
from flows.steps import publish, sent_again, verify
from tasks.ledger import only_run
from tasks.quarantine import Chosen
from tasks.repair import as_export, carried_out_by
from tasks.replay import newest_load
from tasks.spool import clear
from warehouse.spec import Dataset
from warehouse.spec import dataset as spec


@flow(name="replay", flow_run_name="replay {dataset}", persist_result=False)
def replay(
    dataset: DatasetName,
    path: str | None = None,
    rule: str | None = None,
    load: int | None = None,
    request: int | None = None,
) -> IngestResult:
    """Send held-back records of one dataset again, judge it, and publish the gold that reads it.

    Args:
        dataset: its name, `<domain>_<name>`.
        path: an edited export of quarantine; default: the records as they were.
        rule: without a path, those that break this rule.
        load: without a path, those of this load.
        request: those that a person edited on a page and asked to be sent again.

    Raises:
        ConfigurationError: no such dataset, or its spec or contract is wrong, or the request sends
            nothing; nothing is written.
        SourceUnavailable: the file is absent, or a row of it is no record of quarantine.
        LoadFailed: the database refused, or the counts do not add up.
    """
    with run() as run_id:
        if request is None:
            result = bring_in(spec(dataset), run_id, path, Chosen(rule, load))
        else:
            carried_out_by(request, run_id)
            with as_export(spec(dataset), request) as edited:
                result = bring_in(spec(dataset), run_id, str(edited), Chosen())
        return conclude(result.with_gold(publish([spec(dataset)], run_id)))


def bring_in(dataset: Dataset, run_id: str, path: str | None, chosen: Chosen) -> IngestResult:
    """Load the records of one load after another, then judge what stands in silver."""
    require_contract(dataset)
    with only_run(dataset):
        newest_load(dataset)
        sending = sent_again(dataset, path and Path(path), chosen)
        loads = [load(dataset, arrival, run_id, False) for arrival in sending.arrivals]
        clear(dataset)  # the texts hold persons in clear
        verdict = verify(dataset, loads[-1].load_id if loads else newest_load(dataset), run_id)
        look_on(dataset, run_id)
    result = IngestResult.of(dataset.table, run_id, loads, verdict)
    return replace(result, notes=tuple(sending.notes))
