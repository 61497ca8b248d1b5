"""How fast a file of another kind than CSV gets into silver, against the library that reads it.

    python -m benchmarks.sources [ROWS [RUNS [KIND ...]]]      # 200000 3 excel

Ours is `tasks.load.load` up to typed, checked, keyed silver. Theirs is what a script would do: the
library's own reader, then pandas `to_sql`, into a table of the same columns and key. They take
turns, each in a process and a database of its own on the server that the settings name; imports
are not counted; ratios are taken within a run. Another kind is an entry in `KINDS`.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.silver import bench_database

COLUMNS = {"id": "bigint", "title": "text", "branch": "text", "lent_on": "date"}
COLUMNS |= {"returned_at": "timestamp", "fine": "numeric", "code": "text"}
Rows = list[tuple[Any, ...]]


class Kind(NamedTuple):
    """A file's ending, how it is written, and how the plain library reads it into a frame."""

    ending: str
    write: Callable[[Path, Rows], None]
    read: Callable[[Path], Any]


def records(count: int) -> Rows:
    some = random.Random(1).randrange
    days = [
        dt.datetime.fromtimestamp(some(10**9), dt.UTC).replace(tzinfo=None) for _ in range(count)
    ]
    return [
        (n, f"Title {some(9999)}", "NS"[n % 2], day.date(), day, some(999) / 100, f"{n % 999:05}")
        for n, day in enumerate(days)
    ]


def write_excel(path: Path, rows: Rows) -> None:
    book = import_module("openpyxl").Workbook(write_only=True)
    book.create_sheet("Loans")
    for row in [tuple(COLUMNS), *rows]:
        book.worksheets[0].append(row)
    book.save(path)


def read_excel(path: Path) -> Any:
    return import_module("pandas").read_excel(path, engine="calamine", dtype={"code": str})


KINDS = {"excel": Kind(".xlsx", write_excel, read_excel)}


def ours(kind: str, path: Path) -> Callable[[], Any]:
    from tasks.load import load
    from tests.tasks.conftest import create, spec

    source = {"kind": kind, "path": path.name}
    dataset = spec(path.parent, "loans", source=source, columns=dict(COLUMNS), key=["id"])
    create(dataset)
    return lambda: load(dataset, path, force=True)


def theirs(kind: str, path: Path) -> Callable[[], Any]:
    from warehouse.database import connect, engine

    columns = ", ".join(f"{name} {column}" for name, column in COLUMNS.items())
    import_module("pandas")  # so that importing it is not counted
    with connect() as connection:
        connection.execute(f"create table plain ({columns}, primary key (id))".encode())
    how = {"con": engine(), "if_exists": "append", "index": False, "chunksize": 10_000}
    return lambda: KINDS[kind].read(path).to_sql("plain", **how)


def measured(side: str, kind: str, path: Path) -> None:
    """Print seconds and MB at the peak of one side, run in this process."""
    run, start = {"ours": ours, "theirs": theirs}[side](kind, path), perf_counter()
    run()
    wall = perf_counter() - start
    print(json.dumps([wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def child(*arguments: str) -> Any:
    with bench_database("carrel_bench_sources"):
        command = [sys.executable, "-m", "benchmarks.sources", *arguments]
        return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def main(rows: int = 200_000, runs: int = 3, *kinds: str) -> None:
    for kind in kinds or KINDS:
        with tempfile.TemporaryDirectory(prefix="carrel-bench-") as folder:
            path = Path(folder) / f"loans{KINDS[kind].ending}"
            KINDS[kind].write(path, records(rows))
            pairs = [[child(s, kind, str(path)) for s in ("ours", "theirs")] for _ in range(runs)]
        for side, name in enumerate(("ours", "theirs")):
            wall, peak = (statistics.median(pair[side][i] for pair in pairs) for i in (0, 1))
            print(f"{kind:8} {name:7} {rows / wall:9,.0f} rows/s {peak:7,.0f} MB")
        wall, peak = (statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1))
        print(f"{kind:8} ratio   {wall:9.2f} of the time {peak:.2f} of the peak")


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["theirs"]):
        measured(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:3]), *sys.argv[3:])
