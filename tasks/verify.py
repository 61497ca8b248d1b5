"""Verify: ask the dataset's contract whether what stands in silver may be trusted."""

from __future__ import annotations

import logging

from psycopg import sql

from quality.verdict import Verdict, judge
from warehouse.database import connect
from warehouse.spec import Dataset

log = logging.getLogger(__name__)


def verify(dataset: Dataset, load_id: int | None, run_id: str | None) -> Verdict:
    """Judge the dataset as it stands in silver after a load, and keep the verdict.

    A contract that does not hold is no error here: it is what the verdict says.

    Raises:
        SpecError: the dataset has no contract, or the contract is wrong.
    """
    with connect() as connection:  # the contract's queries, and gold's, are planned by this
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier("silver", dataset.table)))
    verdict = judge(dataset, load_id=load_id, run_id=run_id)
    level = logging.INFO if verdict.publishes else logging.WARNING
    log.log(level, "%s %s", dataset.table, verdict, extra={"dataset": dataset.table})
    return verdict
