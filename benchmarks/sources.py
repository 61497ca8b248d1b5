"""How fast a file of another kind than CSV gets into silver, against the library that reads it.

    python -m benchmarks.sources [--rows 200000] [--runs 3] [excel ...]

Ours is `tasks.load.load`: read, bronze, typed, checked, keyed silver. Theirs is what a script would
do: the library's own reader, then pandas `to_sql`, into a table of the same columns and key. Both
go one after the other, each in a process of its own; imports are not counted; ratios are taken
within a run. Needs the database that the settings name, and uses one of its own on that server.

Another kind is a `Kind`: how to write its file, and how the library reads it into a frame.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.silver import bench_database

COLUMNS = {"id": "bigint", "title": "text", "branch": "text", "lent_on": "date"}
COLUMNS |= {"returned_at": "timestamp", "fine": "numeric", "channel": "text", "code": "text"}
DAY = dt.datetime(2020, 1, 1)


def records(count: int) -> list[tuple[Any, ...]]:
    """Loans of every type that a cell may have; the same each time."""
    dice = random.Random(1)
    return [
        (
            number,
            f"Title {dice.randrange(9999)}",
            dice.choice(("Nord", "Süd", "Ost")),
            (DAY + dt.timedelta(days=dice.randrange(900))).date(),
            DAY + dt.timedelta(minutes=dice.randrange(900_000)),
            dice.randrange(1000) / 100,
            dice.choice(("desk", "web")),
            f"{dice.randrange(10**9):09}",
        )
        for number in range(count)
    ]


def write_excel(path: Path, rows: list[tuple[Any, ...]]) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Loans")
    for row in [tuple(COLUMNS), *rows]:
        sheet.append(row)
    book.save(path)


def read_excel(path: Path) -> Any:
    import pandas as pd

    return pd.read_excel(path, engine="calamine", dtype={"code": str})


@dataclass(frozen=True)
class Kind:
    """A file's ending, how it is written, and how the plain library reads it."""

    ending: str
    write: Callable[[Path, list[tuple[Any, ...]]], None]
    read: Callable[[Path], Any]


KINDS = {"excel": Kind(".xlsx", write_excel, read_excel)}


def ours(kind: str, path: Path) -> Callable[[], None]:
    from tasks.load import load
    from tests.tasks.conftest import create, spec

    source = {"kind": kind, "path": path.name}
    dataset = spec(path.parent, "loans", source=source, columns=dict(COLUMNS), key=["id"])
    create(dataset)
    return lambda: print(load(dataset, path, force=True)[0].inserted, file=sys.stderr)


def theirs(kind: str, path: Path) -> Callable[[], None]:
    import pandas as pd  # noqa: F401 - so that importing it is not counted
    from warehouse.database import connect, engine

    columns = ", ".join(f"{name} {column}" for name, column in COLUMNS.items())
    with connect() as connection:
        connection.execute(f"create table plain ({columns}, primary key (id))".encode())
    return lambda: (
        KINDS[kind]
        .read(path)
        .to_sql("plain", engine(), if_exists="append", index=False, method="multi", chunksize=5000)
    )


def measured(side: str, kind: str, path: Path) -> None:
    """Run one side in this process; print seconds, and MB at the peak and before."""
    run = {"ours": ours, "theirs": theirs}[side](kind, path)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    run()
    wall, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([wall, peak / 1024, before / 1024]))


def child(side: str, kind: str, path: Path) -> list[float]:
    """One side in a process of its own, in an empty database of its own."""
    with bench_database("carrel_bench_sources"):
        command = [sys.executable, "-m", "benchmarks.sources", "--side", side, kind, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(kind: str, rows: int, runs: int, folder: Path) -> None:
    """Print rows a second and peak memory of both sides, and the ratios' medians."""
    path = folder / f"loans{KINDS[kind].ending}"
    KINDS[kind].write(path, records(rows))
    pairs = [(child("ours", kind, path), child("theirs", kind, path)) for _ in range(runs)]
    for name, side in (("ours", 0), ("theirs", 1)):
        wall, peak, before = (statistics.median(p[side][i] for p in pairs) for i in range(3))
        print(
            f"{kind:8} {name:7} {rows / wall:9,.0f} rows/s  {peak:6,.0f} MB (start {before:,.0f})"
        )
    ratios = [statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1)]
    print(f"{kind:8} ratio   {ratios[0]:9.2f} of the time {ratios[1]:6.2f} of the peak", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kinds of source against their plain libraries.")
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        return measured(asked.side, asked.kinds[0], Path(asked.kinds[1]))
    with tempfile.TemporaryDirectory(prefix="carrel-bench-sources-") as folder:
        for kind in asked.kinds:
            compared(kind, asked.rows, asked.runs, Path(folder))
    return None


if __name__ == "__main__":
    main()
