"""Cost of the pages that tell of quality: 100 datasets with a run a day for a year.

    python benchmarks/quality_pages.py [--datasets 100] [--days 365] [--rounds 15]

A real `panel serve` with that history behind it. `open` is from the request of a page until all of
its document has come over the websocket; `cpu` is what the app's process used for it. PostgreSQL
has processes of its own: its part is in `open`, and alone in `queries`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PAGES = ("/quality", "/pipelines", "/dataset", "/alerts")
WARM = 4


def fill(datasets: int, days: int) -> None:
    """The history, and the planner's statistics of it."""
    from tests.bi_app.quality_rows import fill_history, hold_back
    from warehouse.database import connect

    with connect() as connection:
        known = connection.execute("select count(*) from ops.catalogue where layer = 'silver'")
        made = datasets - (known.fetchone() or (0,))[0]
        fill_history(connection, made=made, days=days)
        hold_back(connection, "library_loan_events")
    with connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")


def opened(client: Any, server: Any, page: str) -> tuple[float, float]:
    """Wall and CPU, in ms, of opening a page."""
    cpu, wall = server.cpu(), time.perf_counter()
    socket = client.socket(page)
    socket.pull()
    taken = (time.perf_counter() - wall) * 1000
    time.sleep(0.15)
    used = server.cpu() - cpu
    socket.close()
    return taken, used


def queries() -> dict[str, float]:
    """Median time, in ms, of all that a page asks of the database and of Prefect."""
    from bi_app.models import alerts, quality, schedule
    from bi_app.pages import dataset, pipelines
    from bi_app.pages import quality as quality_page
    from warehouse.access import Viewer

    viewer = Viewer("bench@carrel.example", "admin")
    asked = {
        "/quality": lambda: quality_page.prepare(viewer),
        "/pipelines": lambda: pipelines.prepare(viewer),
        "/dataset": lambda: dataset.answer_of(viewer, {"name": "library_loan_events"}),
        "/alerts": lambda: alerts.inbox(viewer, everything=False),
    }
    schedule.groups()
    assert quality.standing(viewer).datasets
    return {page: statistics.median(_times(work)) for page, work in asked.items()}


def _times(work: Any) -> list[float]:
    found = []
    for _ in range(12):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return found[2:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=100)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    from benchmarks.page import EMAIL, PASSWORD, Process, database, median, p95
    from tests.ports import free_port

    with database(1000, 10):
        from bi_app.serve import command, environment
        from tests.bi_app.client import Client

        fill(asked.datasets, asked.days)
        alone, port = queries(), free_port()
        log = Path(tempfile.mkstemp(prefix="carrel-bench-", suffix=".log")[1])
        server = Process(command(port), port, log, cwd=ROOT, env=os.environ | environment())
        try:
            server.wait("/health")
            server.settle()
            client = Client(server.base)
            client.sign_in(EMAIL, PASSWORD)
            print(f"\n{asked.datasets} datasets x {asked.days} days, as admin; ms")
            print(
                f"  {'page':<12} {'open p50':>9} {'p95':>7} {'cpu p50':>9} {'queries':>9}   <= 200"
            )
            for page in PAGES:
                times = [opened(client, server, page) for _ in range(asked.rounds + WARM)][WARM:]
                walls, cpus = ([t[i] for t in times] for i in (0, 1))
                print(
                    f"  {page:<12} {median(walls):9.0f} {p95(walls):7.0f}"
                    f" {median(cpus):9.0f} {alone[page]:9.0f}",
                    flush=True,
                )
            client.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
