"""How fast each kind of source gets into silver, against the library that reads it.

    python -m benchmarks.sources [--rows 200000] [--runs 3] [--times 5] [KIND ...]

Ours is `tasks.load.load` up to bronze and typed, checked, keyed silver. Theirs is what a script
would do: the library's own reader, then pandas `to_sql`, into a table of the same columns and key.
They take turns, each in a process and a database of its own on the server that the settings name;
imports are not counted; ratios are taken within a run. CPU is the client's plus the embedded
PostgreSQL's, memory the client's peak. The last column is ours with `--times` as many rows, once
(0 leaves it out): what is read as a stream takes no more. Another kind is an entry in `KINDS`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.batch import ServerClock, peak_rss, spent
from benchmarks.silver import bench_database
from benchmarks.source_kinds import KINDS, SECRET

HEAD = (
    f"{'':15}{'':>9} │{'ours':^25}│{'plain library':^25}│{'ours / plain':^21}│\n"
    f"{'':15}{'rows':>9} │{'rows/s':>9}{'CPU s':>7}{'MB':>7}  │{'rows/s':>9}{'CPU s':>7}{'MB':>7}"
    f"  │{'rows/s':>7}{'CPU':>7}{'MB':>6} │"
)


def ours(name: str, place: str) -> Callable[[], Any]:
    import tasks.spool  # noqa: F401 - so that importing it, or the reader, is not counted
    from tasks.load import load
    from tasks.sources import reader
    from tests.tasks.conftest import create, spec

    kind = KINDS[name]
    if kind.source["kind"] != "csv":
        reader(kind.source["kind"])
    is_file = Path(place).is_file()
    source = kind.source | {"path": Path(place).name if is_file else None}
    source |= {"url": place} if kind.source["kind"] == "http" else {}
    key = [next(iter(kind.columns))]
    dataset = spec(
        Path(os.environ["BENCH"]), "bench", source=source, columns=kind.columns.copy(), key=key
    )
    with suppress(import_module("psycopg").errors.DuplicateTable):
        create(dataset)
    return lambda: load(dataset, Path(place) if is_file else None, force=True)


def theirs(name: str, place: str) -> Callable[[], Any]:
    from warehouse.database import connect, engine

    import_module("pandas")  # so that importing it is not counted
    plain = {n: c if isinstance(c, str) else c["type"] for n, c in KINDS[name].columns.items()}
    columns = ", ".join(f"{n} {c}" for n, c in plain.items())
    with connect() as connection:
        made = f"create table if not exists plain ({columns}, primary key ({next(iter(plain))}))"
        connection.execute(made.encode())
    how = {"con": engine(), "if_exists": "append", "index": False, "chunksize": 10_000}
    return lambda: KINDS[name].read(place).to_sql("plain", **how)


def measured(side: str, name: str, place: str) -> None:
    """Print seconds, CPU seconds and MB at the peak of one side, run in this process."""
    from deployments.postgres import server

    run = {"ours": ours, "theirs": theirs}[side](name, place)
    clock = ServerClock(server().data) if (server().data / "postmaster.pid").exists() else None
    cpu = -spent() - (clock.read() if clock else 0)
    start = perf_counter()
    run()
    wall = perf_counter() - start
    cpu += spent() + (clock.read() if clock else 0)
    print(json.dumps([wall, cpu, peak_rss()]))


def child(side: str, name: str, place: str, expected: int) -> list[float]:
    """Costs of one side in a process of its own; of an incremental kind the second time's."""
    with bench_database("carrel_bench_sources"):
        command = [
            sys.executable,
            "-m",
            "benchmarks.sources",
            "--side",
            side,
            "--place",
            place,
            name,
        ]
        for _ in range(1 + KINDS[name].half):
            told = subprocess.check_output(command, text=True)
        check("silver.test_bench" if side == "ours" else "plain", expected)
    costs: list[float] = json.loads(told.splitlines()[-1])
    return costs


def check(table: str, expected: int) -> None:
    from warehouse.database import connect

    with connect() as connection:
        (found,) = connection.execute(f"select count(*) from {table}".encode()).fetchone() or (0,)
    if found != expected:
        raise SystemExit(f"{table} holds {found} rows and not {expected}")


def pairs(name: str, rows: int, runs: int, sides: tuple[str, ...]) -> list[list[list[float]]]:
    """The costs of the sides, run after run."""
    with tempfile.TemporaryDirectory(prefix="carrel-bench-") as folder:
        os.environ |= {"BENCH": folder, "CARREL_HTTP_HOSTS": "127.0.0.1"}
        with KINDS[name].made(Path(folder), rows) as place:
            os.environ[SECRET] = place
            return [[child(side, name, place, rows) for side in sides] for _ in range(runs)]


def line(name: str, rows: int, runs: int, times: int) -> str:
    kind = KINDS[name]
    made = rows // kind.part
    counted = made - made // 2 if kind.half else made
    costs = pairs(name, made, runs, ("ours", "theirs"))
    shown = f"{name:15}{counted:9,} │"
    for side in (0, 1):
        wall, cpu, peak = (statistics.median(run[side][i] for run in costs) for i in range(3))
        shown += f"{counted / wall:9,.0f}{cpu:7.2f}{peak:7,.0f}  │"
    wall, cpu, peak = (statistics.median(run[0][i] / run[1][i] for run in costs) for i in range(3))
    shown += f"{1 / wall:7.2f}{cpu:7.2f}{peak:6.2f} │"
    if times and not kind.half:
        (((_, _, peak),),) = pairs(name, made * times, 1, ("ours",))
        shown += f"{peak:8,.0f}{'' if kind.streams else '  whole sheet'}"
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--side", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--place", help=argparse.SUPPRESS)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    options = parser.parse_args()
    if options.side:
        measured(options.side, options.kinds[0], options.place)
        return
    print(HEAD + (f"{f'MB, {options.times} ×':>8}" if options.times else ""), flush=True)
    for name in options.kinds or KINDS:
        print(line(name, options.rows, options.runs, options.times), flush=True)


if __name__ == "__main__":
    main()
