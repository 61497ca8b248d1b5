"""Recheck: ask a dataset's contract anew, without a load, as it stands in silver now."""

from __future__ import annotations

from sqlalchemy import text

from quality.contract import contract
from quality.verdict import Verdict
from tasks.ledger import only_run
from tasks.verify import verify
from warehouse.database import engine
from warehouse.spec import Dataset

_NEWEST = text("select max(load_id) from ops.loads where dataset = :dataset and state = 'done'")


def recheck(dataset: Dataset, run_id: str | None) -> Verdict:
    """Judge the dataset while no load of it is under way, and keep the verdict for its newest load.

    Raises:
        SpecError: the dataset has no contract, or the contract is wrong.
        Busy: a run held the dataset for longer than the setting lock_wait_s.
    """
    contract(dataset)
    with only_run(dataset):
        with engine().connect() as connection:
            load_id = connection.execute(_NEWEST, {"dataset": dataset.table}).scalar_one()
        return verify(dataset, load_id, run_id)
