"""The REST API under load: requests a second and a core, and how long one waits at half of that.

    python -m benchmarks.api [--loans 2000000] [--seconds 4] [--rounds 3]

A real API process with a seeded library behind it; the load comes from a second process over raw
sockets kept open. CPU is read from the processes: `requests a core` is requests by the API
process's own seconds of CPU, and beside it stands PostgreSQL's CPU a request. The rows of a gold
table are read with the row policies on (as a librarian, through `acting_as`) and, in turn with it,
by the same API with the policies of that table switched off. Medians of the rounds; the ratio is
the median of each round's own. Two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import statistics
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
import psutil

from benchmarks.page import PASSWORD, Process, database
from tests.ports import free_port
from warehouse.settings import ROOT

EMAIL = "bench-librarian@carrel.example"
PREFIX = "/api/v1"
MEASURE = f"{PREFIX}/measures/overview.figures?period=12m"
DAILY = f"{PREFIX}/measures/overview.daily?period=90d"
ROWS = f"{PREFIX}/datasets/gold.library_circulation/rows?filter=day:ge:2026-10-01&limit=50"
OPEN = 8


async def one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, int]:
    """Send a request and read its answer; returns its status and length."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if length:
        await reader.readexactly(length)
    return int(head[9:12]), length


async def load(port: int, request: bytes, seconds: float, rate: float | None) -> dict[str, Any]:
    """Ask as fast as it goes over a few connections, or `rate` times a second; waits in ms.

    At a rate a request's wait counts from when it was due, so that a stall is not hidden.
    """
    waits: list[float] = []
    statuses: set[int] = set()
    began = time.perf_counter()
    due = iter(range(10**9))

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        while (now := time.perf_counter()) - began < seconds:
            start = now
            if rate:
                start = began + next(due) / rate
                if start > now:
                    await asyncio.sleep(start - now)
            status, _ = await one(reader, writer, request)
            waits.append((time.perf_counter() - start) * 1000)
            statuses.add(status)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(OPEN)))
    took = time.perf_counter() - began
    return {"waits": waits, "statuses": sorted(statuses), "seconds": took}


def in_another_process(*arguments: Any) -> dict[str, Any]:
    """`load` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_load, arguments)


def _load(*arguments: Any) -> dict[str, Any]:
    return asyncio.run(load(*arguments))


class Asked:
    """One request, asked again and again of one server."""

    def __init__(self, server: Process, token: str, path: str) -> None:
        self.server, self.port = server, int(server.base.rpartition(":")[2])
        head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        self.request = f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()
        self.database = postgres()
        self.load(1.0, None)  # warm

    def load(self, seconds: float, rate: float | None) -> dict[str, Any]:
        found = in_another_process(self.port, self.request, seconds, rate)
        assert found["statuses"] == [200], found["statuses"]
        return found

    def once(self, seconds: float) -> dict[str, float]:
        """Requests a second, ms of CPU a request of the API and of PostgreSQL."""
        api, database = self.server.cpu(), cpu_of(self.database)
        found = self.load(seconds, None)
        count = len(found["waits"])
        return {
            "rate": count / found["seconds"],
            "api": (self.server.cpu() - api) / count,
            "database": (cpu_of(self.database) - database) / count,
        }

    def half(self, seconds: float, core: float) -> dict[str, float]:
        """Waits at half the rate that a core could do."""
        waits = sorted(self.load(seconds, core / 2)["waits"])
        return {
            "p50": statistics.median(waits),
            "p99": waits[max(0, math.ceil(len(waits) * 0.99) - 1)],
            "half": len(waits) / seconds,
        }


def postgres() -> psutil.Process:
    """The database's main process."""
    from deployments.postgres import server

    return psutil.Process(int(server()._pid_file()[0]))


def cpu_of(main: psutil.Process) -> float:
    """CPU of the database so far, in ms: each connection is a process, kept open by the pool."""
    total = 0.0
    for process in (main, *main.children()):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += (times.user + times.system) * 1000
    return total


def middle(found: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def measured(asked: Asked, seconds: float, rounds: int) -> dict[str, float]:
    """Medians at full load, then the waits at half of what a core does."""
    found = middle([asked.once(seconds) for _ in range(rounds)])
    core = 1000 / found["api"]
    waits = middle([asked.half(seconds, core) for _ in range(rounds)])
    return {**found, **waits, "core": core}


def served(log: Any) -> Process:
    """An API that nobody is too quick for."""
    import os

    from bi_app.api.rest.serve import command

    port = free_port()
    rates = {"CARREL_API_RATE": "100000000", "CARREL_API_ADDRESS_RATE": "100000000"}
    server = Process(command(port), port, log, cwd=ROOT, env=os.environ | rates)
    server.wait("/ready")
    return server


def policies(*, on: bool) -> None:
    """Have the circulation table's row policies hold, or not."""
    from warehouse.database import connect

    with connect() as db:
        verb = "enable" if on else "disable"
        db.execute(f"alter table gold.library_circulation {verb} row level security".encode())


def line(name: str, found: dict[str, float]) -> None:
    waits = f"{found['p50']:.1f} / {found['p99']:.1f} ms at {found['half']:,.0f}/s"
    print(
        f"| {name} | {found['rate']:,.0f} | {found['core']:,.0f} | {found['api']:.2f} |"
        f" {found['database']:.2f} | {'' if math.isnan(found['half']) else waits} |",
        flush=True,
    )


def with_and_without(asked: Asked, seconds: float, rounds: int) -> None:
    """The same rows with the policies and, in turn, without them."""
    pairs = []
    for _ in range(rounds):
        found = {}
        for on in (True, False):
            policies(on=on)
            asked.load(0.5, None)  # plans are made anew
            found[on] = asked.once(seconds)
        pairs.append(found)
    policies(on=True)
    for on, words in ((True, "on"), (False, "off")):
        one = middle([pair[on] for pair in pairs])
        core = 1000 / one["api"]
        waits = {"p50": math.nan, "p99": math.nan, "half": math.nan}
        if on:
            waits = middle([asked.half(seconds, core) for _ in range(rounds)])
        line(f"50 rows of gold from PostgreSQL, policies {words}", {**one, **waits, "core": core})
    ratios = [
        (p[True]["api"] + p[True]["database"]) / (p[False]["api"] + p[False]["database"])
        for p in pairs
    ]
    print(f"with the policies: {statistics.median(ratios):.2f} x the CPU of API and PostgreSQL")


def run(seconds: float, rounds: int, log: Any) -> None:
    """Print the table."""
    from bi_app.auth.accounts import create_account

    create_account(EMAIL, "Bench", "librarian", ("CEN", "BEL", "ASH"), None, PASSWORD)
    server = served(log)
    try:
        asked = {"email": EMAIL, "password": PASSWORD}
        token = httpx.post(f"{server.base}{PREFIX}/token", json=asked).json()["access_token"]
        print("| | requests/s | a core | CPU ms: API | PostgreSQL | half: p50 / p99 |")
        print("|---|---|---|---|---|---|")
        for name, path in (("cards", MEASURE), ("90 days", DAILY)):
            found = measured(Asked(server, token, path), seconds, rounds)
            line(f"a gold measure ({name}), policies on", found)
        with_and_without(Asked(server, token, ROWS), seconds, rounds)
    finally:
        server.stop()


def main(arguments: list[str]) -> None:
    """Seed a library, serve, measure."""
    import tempfile
    from pathlib import Path

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, database(asked.loans, 20_000):
        run(asked.seconds, asked.rounds, Path(folder) / "api.log")


if __name__ == "__main__":
    main(sys.argv[1:])
