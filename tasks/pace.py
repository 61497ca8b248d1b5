"""Pace: how long each step of a dataset's last run took, and how much it did in that time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from warehouse.database import connect
from warehouse.spec import Dataset

UNITS = {"extract": "files", "land": "lines", "verify": "checks"}  # of the others: rows
LAST = """
with last as (
    select run_id from ops.steps where dataset = %(dataset)s and run_id <> 'none'
    order by step_id desc limit 1
)
select run_id, step, string_agg(distinct state, ', '), min(started_at), count(*), sum(rows),
    sum(extract(epoch from ended_at - started_at))
from ops.steps join last using (run_id)
where dataset = %(dataset)s or dataset is null
group by run_id, step order by min(step_id)
"""


@dataclass(frozen=True)
class Pace:
    """One step of a run, its files taken together.

    `amount` counts what `unit` says; None where the step failed or counts nothing. `times` is how
    often the step ran: once a file, for some. Steps run beside each other, so that their `seconds`
    may add up to more than the run's.
    """

    run_id: str
    step: str
    state: str
    started_at: dt.datetime
    times: int
    amount: int | None
    unit: str
    seconds: float

    @property
    def per_second(self) -> float | None:
        """The amount a second; None where it is not known."""
        return self.amount / self.seconds if self.amount is not None and self.seconds else None


def last_run(dataset: Dataset) -> list[Pace]:
    """The steps of the dataset's last run in order, with those that it shared; none before any."""
    with connect() as connection:
        found = connection.execute(LAST, {"dataset": dataset.table}).fetchall()
    return [
        Pace(run, step, state, began, times, None if n is None else int(n),
             UNITS.get(step, "rows"), float(seconds))
        for run, step, state, began, times, n, seconds in found
    ]  # fmt: skip
