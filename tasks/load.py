"""One file's whole way into silver, without an orchestrator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tasks.clean import clean
from tasks.extract import Arrival, extract
from tasks.land import land
from tasks.ledger import Load, begin, only_run
from tasks.merge import Loaded, merge
from warehouse.spec import Dataset


def load(
    dataset: Dataset, path: Path | None = None, *, run_id: str | None = None, force: bool = False
) -> list[Loaded]:
    """Load the dataset's files one after another; unchanged ones are not in the result.

    Raises:
        CarrelError: the failing file's load is closed as failed; earlier files stay loaded.
    """
    with only_run(dataset):
        loads = ((a, begin(dataset, a, run_id=run_id, force=force)) for a in extract(dataset, path))
        return [bring_in(dataset, a, o) for a, o in loads if o.state != "unchanged"]


def bring_in(dataset: Dataset, arrival: Arrival, opened: Load) -> Loaded:
    """Land and clean at the same time, then merge."""
    with ThreadPoolExecutor(1) as beside:
        landing = beside.submit(land, dataset, arrival, opened)
        cleaned = clean(dataset, arrival, opened)
        landing.result()
    return merge(dataset, opened, cleaned)
