"""What a run costs before any row is read, and what Soda costs on many rows.

    python -m benchmarks.run

Fixed cost: `carrel ingest` of a 1,000-row file in a process of its own, as the command line runs
it, without a Prefect server and with one; split into imports, Prefect, load and contract. Soda: a
contract of 16 checks on 2,000,000 rows. Medians of three runs; CPU is the process's own. Needs the
database that the settings name, and uses databases of its own on that server.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.ingest_once import Clock
from benchmarks.silver import bench_database
from tests.flows.fix_desk import COLUMNS, Desk, make_desk
from tests.flows.fix_orchestra import wait_for
from tests.ports import free_port
from warehouse.database import connect
from warehouse.ddl import OURS
from warehouse.settings import settings
from warehouse.spec import dataset

RUNS = 3
ROWS = 2_000_000
PARTS = ("imports", "prefect", "load", "contract", "publish", "all")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="carrel bench ") as name, project(Path(name)) as desk:
        desk.many_loans(1_000, seed=1)
        print("carrel ingest of 1,000 rows, seconds wall / CPU")
        print(f"{'':24}" + "".join(f"{part:>16}" for part in PARTS))
        told("without a server", [child({}) for _ in range(RUNS)])
        with prefect_server(Path(name)) as api:
            told("with a server", [child({"PREFECT_API_URL": api}) for _ in range(RUNS)])
        soda(desk)


@contextmanager
def project(folder: Path) -> Iterator[Desk]:
    """A project folder of its own, in a database of its own."""
    os.environ |= {"CARREL_PROJECT": str(folder), "CARREL_LANDING": str(folder / "landing")}
    settings.cache_clear()
    with bench_database("carrel_bench_run"):
        yield make_desk(folder)


def child(extra: dict[str, str]) -> dict[str, Any]:
    """One ingest in a fresh process; what it measured of itself, and its whole cost."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest_once"],
        env=os.environ | settings().library_variables | extra,
        capture_output=True,
        text=True,
        check=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"all": (wall, cpu)}


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """A Prefect server on a free port for as long as the block lasts."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
        env=os.environ | settings().library_variables | {"PREFECT_HOME": str(folder / "prefect")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    import httpx

    try:
        wait_for(lambda: httpx.get(f"{api}/health", trust_env=False).is_success, what="Prefect")
        yield api
    finally:
        server.terminate()
        server.wait()


def told(what: str, runs: list[dict[str, Any]]) -> None:
    medians = ([statistics.median(r[p][i] for r in runs) for i in (0, 1)] for p in PARTS)
    cells = [f"{wall:7.2f} /{cpu:6.2f}" for wall, cpu in medians]
    print(f"{what:24}" + "".join(f"{cell:>16}" for cell in cells))


CHECKS = """
checks:
  - schema:
  - row_count: {threshold: {must_be_greater_than: 1}}
  - duplicate: {columns: [loan_id, title_code]}
  - failed_rows: {name: in the past, expression: "lent_at > now()"}
  - failed_rows: {name: not at night, qualifier: b, expression: "extract(hour from lent_at) > 23"}
  - freshness: {column: lent_at, threshold: {unit: day, must_be_less_than: 100000}}
"""
COLUMN_CHECKS = {
    "loan_id": "[{missing: }, {duplicate: }, {invalid: {valid_min: 1}},"
    " {aggregate: {function: max, threshold: {must_be_greater_than: 1}}}]",
    "title_code": "[{missing: }, {invalid: {valid_values: [a, b]}},"
    " {invalid: {qualifier: short, valid_max_length: 3}},"
    " {aggregate: {function: maxLength, threshold: {must_be_less_than: 9}}}]",
    "lent_at": "[{missing: }, {missing: {qualifier: share, threshold:"
    " {metric: percent, must_be_less_than: 5}}}]",
}


def write_contract(desk: Desk) -> None:
    """Give the loans a contract of 16 checks."""
    columns = "".join(
        f"  - {{name: {n}, data_type: {t}, checks: {COLUMN_CHECKS[n]}}}\n"
        for n, t in COLUMNS["loans"]
    )
    columns += "".join(f"  - {{name: {n}, data_type: {t}}}\n" for n, t in OURS.items())
    path = desk.folder / "contracts" / "desk" / "loans.yml"
    head = "dataset: carrel/carrel/silver/desk_loans\ncolumns:\n"
    path.write_text(f"{head}{columns}{CHECKS}")


def soda(desk: Desk) -> None:
    """Time a contract of 16 checks on many rows."""
    write_contract(desk)
    with connect() as connection:
        connection.execute("truncate silver.desk_loans")
        connection.execute(
            "insert into silver.desk_loans select g, chr(97 + g % 2),"
            f" timestamp '2024-01-01' + g * interval '30 s', 1 from generate_series(1, {ROWS}) g"
        )
    with connect(autocommit=True) as connection:
        connection.execute("vacuum analyze silver.desk_loans")
    from quality.verdict import judge

    figures = []
    for _ in range(RUNS + 1):
        clock = Clock()
        verdict = judge(dataset("desk_loans"))
        figures.append(clock.lap())
    assert verdict.outcome == "passed", verdict
    wall, cpu = (statistics.median(f[i] for f in figures[1:]) for i in (0, 1))
    print(
        f"Soda, {len(verdict.checks)} checks on {ROWS:,} rows: {wall:.2f} s wall, {cpu:.2f} s CPU"
    )


if __name__ == "__main__":
    main()
