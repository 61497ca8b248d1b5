"""How long gold takes: whole, and after one changed day.

    python -m benchmarks.gold [LOANS]

Makes the sample library with LOANS checkouts (2,000,000 unless said) without dirt, puts it into
silver by COPY in a database of its own on the server that the settings name, and publishes.
Medians of three runs: wall seconds, and CPU seconds of the server, which must be local.
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from benchmarks.silver import bench_database, fill
from deployments.sample.world import Plan
from warehouse import gold
from warehouse.database import connect

RUNS = 3
END = dt.date(2026, 6, 30)
EVENTS = "library_loan_events"
ONE_DAY = {EVENTS: [END - dt.timedelta(days=1)]}
WHOLE = {EVENTS: None, "library_items": None, "library_branches": None}


def main(loans: int = 2_000_000) -> None:
    plan = Plan(1, END, loans, loans // 10, loans // 25, 0.0)
    with bench_database("carrel_bench_gold"):
        rows = fill(plan)
        print(f"{loans:,} loans, {rows['loan_events']:,} events, {rows['items']:,} items")
        every = [name for name in gold.tables() if name.startswith("library_")]
        for name in every:
            print(line(f"whole  {name}", measured(lambda name=name: publish([name], WHOLE), 1)))
        print(line("whole  all", measured(lambda: publish(every, WHOLE), RUNS)))
        daily = [t.table for t in gold.tables().values() if t.table in every and t.refresh]
        reading = [n for n in every if EVENTS in gold.tables()[n].sources]
        print(line("a day  " + ", ".join(daily), measured(lambda: publish(daily, ONE_DAY), RUNS)))
        print(line("a day  all that read it", measured(lambda: publish(reading, ONE_DAY), RUNS)))


def publish(names: list[str], changed: gold.Changed) -> None:
    with connect(autocommit=True) as connection:
        gold.publish(connection, names, changed=changed, run_id="benchmark")


def measured(step: Callable[[], None], runs: int) -> tuple[float, float]:
    """Median wall and CPU seconds."""
    figures = []
    for _ in range(runs):
        wall, busy = time.perf_counter(), cpu()
        step()
        figures.append((time.perf_counter() - wall, cpu() - busy))
    walls, cpus = zip(*figures, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def cpu() -> float:
    """CPU seconds of the server so far, with its workers that have ended; it must be local."""
    with connect() as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    assert server is not None
    spent = server.cpu_times()
    busy = spent.user + spent.system + spent.children_user + spent.children_system
    for child in server.children():
        with suppress(psutil.NoSuchProcess):
            busy += sum(child.cpu_times()[:2])
    return float(busy)


def line(what: str, figures: tuple[float, float]) -> str:
    return f"{what:60} {figures[0]:7.2f} s wall {figures[1]:7.2f} s CPU"


if __name__ == "__main__":
    main(*(int(argument.replace("_", "")) for argument in sys.argv[1:2]))
