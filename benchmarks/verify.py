"""What judging costs beside loading: `verify` as a share of a load.

    python -m benchmarks.verify [rows]

A first load of a generated file of loans (2,000,000 rows unless said) into an empty table, then its
contract of 16 checks, its history and its scores: the seconds of each, and the ratio. Medians of
three runs; CPU is this process's alone. Needs the database that the settings name, and uses a
database of its own on that server.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.ingest_once import Clock
from benchmarks.run import RUNS, project, write_contract
from flows.ingest import load
from tasks.extract import extract
from tasks.ledger import only_run
from tasks.verify import verify
from tests.flows.fix_desk import Desk
from warehouse.database import connect
from warehouse.spec import dataset


def main(rows: int = 2_000_000) -> None:
    with tempfile.TemporaryDirectory(prefix="carrel bench ") as name, project(Path(name)) as desk:
        desk.many_loans(rows, seed=1)
        write_contract(desk)
        figures = [once(desk, number) for number in range(RUNS)]
    loads, judged = ([statistics.median(f[k][i] for f in figures) for i in (0, 1)] for k in (0, 1))
    shares = [f[1][0] / f[0][0] for f in figures]
    print(f"{rows:,} rows: load {loads[0]:.2f} s wall / {loads[1]:.2f} s CPU of this process")
    print(f"verify (analyze, 16 checks, scores): {judged[0]:.2f} s / {judged[1]:.2f} s")
    print(f"verify as a share of the load: {statistics.median(shares):.2f} wall")


def once(desk: Desk, number: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Wall and CPU seconds of a first load, and of verifying it."""
    loans = dataset("desk_loans")
    with connect() as connection:
        connection.execute("truncate silver.desk_loans")
    clock = Clock()
    with only_run(loans):
        (arrival,) = extract(loans, None)
        loaded = load(loans, arrival, f"bench {number}", True)
        loading = clock.lap()
        verdict = verify(loans, loaded.load_id, f"bench {number}")
    judging = clock.lap()
    assert len(verdict.checks) == 16, verdict
    assert verdict.outcome == "passed", verdict
    return loading, judging


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
