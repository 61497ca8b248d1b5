"""Ingest: from a dataset's files to published gold.

extract -> land beside clean -> merge     for each file
-> verify -> observe -> publish           once, for the dataset as it then stands
"""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Annotated

from prefect import flow, runtime
from pydantic import AfterValidator, Field

from flows.report import conclude, conclude_group
from flows.result import GroupResult, IngestResult
from flows.run import Attempts, chosen, in_order, run
from flows.steps import clean, extract, land, merge, observe, publish, verify
from quality.contract import contract
from tasks.extract import Arrival
from tasks.ledger import begin, closing, only_run
from tasks.merge import Loaded
from tasks.record import StepEnd, record
from warehouse.errors import SpecError, category, said
from warehouse.spec import Dataset
from warehouse.spec import dataset as spec

log = logging.getLogger(__name__)
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
DatasetName = Annotated[Label, AfterValidator(lambda name: spec(name).table)]


@flow(name="ingest", flow_run_name="ingest {dataset}", persist_result=False)
def ingest(dataset: DatasetName, path: str | None = None, force: bool = False) -> IngestResult:
    """Bring in one dataset's files, judge it, and publish the gold that reads it.

    Args:
        dataset: its name, `<domain>_<name>`.
        path: one file or folder; default: what the spec's `source.path` matches.
        force: load files again that have not changed.

    Raises:
        ConfigurationError: no such dataset, or its spec or contract is wrong; nothing is written.
        SourceUnavailable: a file is absent, or its shape is wrong.
        LoadFailed: the database refused, or the counts do not add up.
    """
    with run() as run_id:
        result = bring_in(spec(dataset), run_id, path=path, force=force)
        return conclude(result.with_gold(publish([spec(dataset)], run_id)))


def _group_run() -> str:
    return f"ingest {runtime.flow_run.parameters.get('group') or 'every other group'}"


@flow(name="ingest-group", flow_run_name=_group_run, persist_result=False)
def ingest_group(group: Label | None = None, besides: tuple[Label, ...] = ()) -> GroupResult:
    """Bring in every dataset of a group, each after those it names, then publish gold once.

    Args:
        group: the group; default: every group but those named in `besides`.
        besides: groups that are left out.
    """
    with run() as run_id:
        members = chosen(group, besides)
        attempts = bring_in_all(members, run_id)
        return conclude_group(attempts.result(publish(members.values(), run_id)))


def bring_in_all(members: dict[str, Dataset], run_id: str) -> Attempts:
    """Bring in several datasets, each after those it names.

    One that fails does not stop the others, but those after it are held.
    """
    attempts = Attempts(run_id)
    for dataset in in_order(members):
        attempts.make(dataset, bring_in)
    return attempts


def bring_in(
    dataset: Dataset, run_id: str, *, path: str | None = None, force: bool = False
) -> IngestResult:
    """Load a dataset's files one after another, then judge what stands in silver."""
    require_contract(dataset)
    with only_run(dataset):
        arrivals = extract(dataset, path and Path(path))
        loads = [load(dataset, arrival, run_id, force) for arrival in arrivals]
        verdict = verify(dataset, loads[-1].load_id, run_id)
        look_on(dataset, run_id)
    return IngestResult.of(dataset.table, run_id, loads, verdict)


def require_contract(dataset: Dataset) -> None:
    """Say what is wrong with the contract before anything is loaded, and keep that the run failed.

    Raises:
        SpecError: the dataset has no contract, or it is wrong.
    """
    started_at = dt.datetime.now(dt.UTC)
    try:
        contract(dataset)
    except SpecError as error:
        told = StepEnd(
            "contract",
            dataset.table,
            "failed",
            started_at,
            message=said(error),
            category=category(error),
        )
        record(told)
        raise


def look_on(dataset: Dataset, run_id: str) -> None:
    """Profile, measure and compare the run; whatever goes wrong there, the run goes on."""
    try:
        observe(dataset, run_id)
    except Exception as error:
        log.warning("%s was not observed: %s", dataset.table, said(error))


def load(dataset: Dataset, arrival: Arrival, run_id: str, force: bool) -> Loaded:
    """Land a file and clean it at the same time, then merge it; a known file is left alone."""
    begun = begin(dataset, arrival, run_id=run_id, force=force)
    if begun.state == "unchanged":
        return Loaded.unchanged_file(begun)
    with closing(begun):
        with land.beside(dataset, arrival, begun):
            cleaned = clean(dataset, arrival, begun)
        merged: Loaded = merge(dataset, begun, cleaned)
    return merged
