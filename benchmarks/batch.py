"""How fast a file gets into bronze, silver and quarantine, against a bare `\\copy` of it.

    python benchmarks/batch.py [--rows 2000000] [--runs 3] [--peers] [--large]

Each run is paired: the bare copy and every step of ours go one after the other on one embedded
PostgreSQL of its own, and the ratios are taken within the run. CPU is the client's plus the
server's (every process of it). Each step has a process of its own; its imports are not counted.

    copy       psql from the wheel: \\copy into a table raw (line text), csv format
               with a delimiter and a quote that do not occur (text format would eat backslashes)
    copy bare  the same in the transaction that made the table, so that PostgreSQL writes no log
    first      a file into empty tables: bronze, silver with primary key, quarantine
    merge      2,000,000 rows into 1,900,000: 5 % new, 5 % changed
    forced     the same file again with force=True: nothing changes
    unchanged  the same file again: known by its checksum
    dlt        (--peers) dlt in a throwaway environment: merge on the key, Arrow tables, Parquet
    large      (--large) first, with ten times the rows: time per row against `first`
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
OPTIONS = "format csv, delimiter E'\\x1f', quote E'\\x1e'"


@dataclass
class Cost:
    """Wall seconds, CPU seconds of client and server, peak RSS of the client in MB."""

    wall: float
    client: float
    server: float = 0.0
    rss: float = 0.0

    @property
    def cpu(self) -> float:
        return self.client + self.server


def spent() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_rss() -> float:
    """Peak resident memory of this process in MB (`ru_maxrss` would count the parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class ServerClock:
    """CPU seconds of all processes of a PostgreSQL server, ended ones included."""

    def __init__(self, data: Path) -> None:
        import psutil

        self._main = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))

    def read(self) -> float:
        from psutil import NoSuchProcess

        times = self._main.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in self._main.children():
            with suppress(NoSuchProcess):  # ended meanwhile, and so counted with the next reading
                now = child.cpu_times()
                total += now.user + now.system
        return float(total)


# In the process of a step ----------------------------------------------------------------------


def dataset(folder: Path) -> Any:
    """The benchmark's dataset."""
    from benchmarks.loans import SPEC
    from warehouse.spec import read_spec

    path = folder / "specs" / "bench" / "loans.yml"
    if not path.exists():
        path.parent.mkdir(parents=True)
        path.write_text(SPEC)
    return read_spec(path)


def reset(loans: Any) -> None:
    """Empty tables, as after a migration."""
    from warehouse import ddl
    from warehouse.database import connect

    with connect(autocommit=True) as connection:
        for table in ("bronze.bench_loans_pages", "silver.bench_loans", "quarantine.bench_loans"):
            connection.execute(f"drop table if exists {table} cascade".encode())
        connection.execute("delete from ops.loads; delete from ops.files")
        connection.execute(ddl.migration(loans).encode())
        connection.execute(ddl.access(loans).encode())


def step(name: str, folder: Path, file: Path) -> None:
    """Run one step and print what it cost."""
    from tasks.load import load

    loans = dataset(folder)
    if name == "reset":
        reset(loans)
        return
    before, clock = spent(), time.perf_counter()
    done = load(loans, file, force=name == "forced")
    cost = Cost(time.perf_counter() - clock, spent() - before, rss=peak_rss())
    counts = {k: v for k, v in vars(done[0]).items() if k != "changed_days"} if done else {}
    print(json.dumps({"cost": asdict(cost), "counts": counts}))


# In the process that drives --------------------------------------------------------------------


class Bench:
    """An embedded PostgreSQL of its own, files, and the costs measured so far."""

    def __init__(self, folder: Path, rows: int) -> None:
        from benchmarks.loans import write_loans
        from deployments.postgres import server
        from warehouse.migrate import migrate

        self.folder, self.rows = folder, rows
        self.server = server()
        self.port = self.server.start()
        migrate()
        self.clock = ServerClock(self.server.data)
        self.file = write_loans(folder / "a" / "loans.csv", rows, changed="i % 20 = 0")
        self.earlier = write_loans(folder / "b" / "loans.csv", rows, kept="i % 20 <> 7")
        self.costs: dict[str, list[Cost]] = defaultdict(list)
        self.counts: dict[str, Any] = {}

    def run(self) -> None:
        """One paired run."""
        place = self.folder / "loads" / "loans.csv"
        place.parent.mkdir(exist_ok=True)
        self.copy()
        self.step("reset")
        place.unlink(missing_ok=True)
        os.link(self.file, place)
        self.step("first", place)
        self.step("reset")
        place.unlink()
        os.link(self.earlier, place)
        self.step("earlier", place)
        place.unlink()
        os.link(self.file, place)
        for name in ("merge", "forced", "unchanged"):
            self.step(name, place)

    def copy(self) -> None:
        """The bare copy: logged, then without log."""
        from warehouse.settings import settings

        url = settings().url().set(drivername="postgresql")
        copy = f"\\copy raw from '{self.file}' with ({OPTIONS})\n"
        made = "create table raw (line text);\n"
        scripts = {"copy": f"{made}{copy}", "copy bare": f"begin;\n{made}{copy}commit;\n"}
        command = [str(self.server.runtime / "bin" / "psql"), "-q", "-v", "ON_ERROR_STOP=1"]
        command.append(url.render_as_string(hide_password=False))
        for name, script in scripts.items():
            self.measured(name, command, script)
            subprocess.run(command, input="drop table raw;\n", text=True, check=True)

    def step(self, name: str, file: Path | None = None) -> None:
        command = [sys.executable, str(Path(__file__)), "--step", name, "--folder"]
        output = self.measured(name, [*command, str(self.folder), "--file", str(file)])
        if output:
            told = json.loads(output.splitlines()[-1])
            server = self.costs[name][-1].server
            self.costs[name][-1] = Cost(**told["cost"] | {"server": server})
            self.counts[name] = told["counts"]

    def measured(self, name: str, command: list[str], script: str = "") -> str:
        """Run a command; note its wall time, its CPU and the server's."""
        before, server, clock = _children(), self.clock.read(), time.perf_counter()
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, input=script, text=True, stdout=subprocess.PIPE, env=env, check=True
        )
        wall = time.perf_counter() - clock
        time.sleep(0.3)
        cost = Cost(wall, _children() - before, self.clock.read() - server)
        self.costs[name].append(cost)
        return done.stdout

    def peer(self) -> None:
        """dlt, in an environment made for it and thrown away."""
        from warehouse.settings import settings

        python = self.folder / "dlt" / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
            pip = [str(python), "-m", "pip", "install", "-q", "dlt[postgres]", "pyarrow"]
            subprocess.run([*pip, "adbc-driver-manager", "adbc-driver-postgresql"], check=True)
        url = settings().url().set(drivername="postgresql").render_as_string(hide_password=False)
        command = [str(python), str(HERE / "peer_dlt.py"), str(self.file), url, str(self.folder)]
        for name in ("dlt first", "dlt merge"):
            told = json.loads(self.measured(name, [*command, name]).splitlines()[-1])
            server = self.costs[name][-1].server
            self.costs[name][-1] = Cost(told["wall"], told["client"], server, told["rss"])
            self.counts[name] = {k: told[k] for k in ("version", "format")}

    def large(self) -> None:
        """Ten times the rows."""
        from benchmarks.loans import write_loans

        file = write_loans(self.folder / "c" / "loans.csv", self.rows * 10)
        self.step("reset")
        self.costs["large"] = []
        self.step("large", file)

    def table(self) -> str:
        """Medians, and medians of the ratios within runs."""
        lines = [f"{'':12}{'wall s':>8}{'× copy':>8}{'CPU s':>8}{'× copy':>8}{'RSS MB':>8}"]
        copies = self.costs["copy"]
        for name, costs in self.costs.items():
            if name in ("reset", "earlier", "large"):
                continue
            pairs = list(zip(costs, copies, strict=False))
            wall = statistics.median(c.wall / b.wall for c, b in pairs)
            cpu = statistics.median(c.cpu / b.cpu for c, b in pairs)
            lines.append(
                f"{name:12}{statistics.median(c.wall for c in costs):8.2f}{wall:8.2f}"
                f"{statistics.median(c.cpu for c in costs):8.2f}{cpu:8.2f}"
                f"{max(c.rss for c in costs):8.0f}"
                f"   client {statistics.median(c.client for c in costs):.2f}"
                f" server {statistics.median(c.server for c in costs):.2f}"
            )
        if large := self.costs.get("large"):
            wall = statistics.median(c.wall for c in self.costs["first"])
            cpu = statistics.median(c.cpu for c in self.costs["first"])
            lines.append(
                f"{'large':12}{large[0].wall:8.2f}{'':8}{large[0].cpu:8.2f}{'':8}"
                f"{large[0].rss:8.0f}   a row, first = 1: wall {large[0].wall / wall / 10:.2f} ×,"
                f" CPU {large[0].cpu / cpu / 10:.2f} ×"
            )
        return "\n".join(lines)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.step, options.folder, options.file)
        return
    with tempfile.TemporaryDirectory(prefix="carrel bench ") as name:
        drive(Path(name), options)


def drive(folder: Path, options: argparse.Namespace) -> None:
    """Measure in a folder."""
    folder.chmod(0o755)
    os.environ |= {"CARREL_HOME": str(folder / "home"), "CARREL_DATABASE": "bench"}
    os.environ |= {"CARREL_PROJECT": str(folder / "local"), "CARREL_PG_PORT": "25432"}
    os.environ.pop("CARREL_DATABASE_URL", None)
    bench = Bench(folder, options.rows)
    try:
        for number in range(options.runs):
            bench.run()
            if options.peers:
                bench.peer()
            print(f"run {number + 1} of {options.runs}\n{bench.table()}\n", flush=True)
        if options.large:
            bench.large()
            print(bench.table())
        for name, counts in bench.counts.items():
            print(name, counts)
    finally:
        bench.server.stop()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
