"""The REST API under load: requests a second and a core, and how long one waits at half of that.

    python -m benchmarks.api [--loans 2000000] [--seconds 8]

A real API process with a seeded library behind it; the load comes from a second process over raw
sockets kept open. CPU is read from the processes: `requests a core` is requests by the API
process's own seconds of CPU. The rows of a gold table are read with the row policies on (as a
librarian, through `acting_as`) and, beside it, by the same API whose librarian's policies are
switched off on that table.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import time
from typing import Any

import httpx

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


def measured(server: Process, token: str, path: str, seconds: float) -> dict[str, float]:
    """Requests a second, a core and an API's CPU second; then the wait at half the rate a core."""
    port = int(server.base.rpartition(":")[2])
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    in_another_process(port, request, 1.0, None)  # warm
    cpu = server.cpu()
    found = in_another_process(port, request, seconds, None)
    spent = (server.cpu() - cpu) / 1000
    assert found["statuses"] == [200], found["statuses"]
    count = len(found["waits"])
    core = count / spent
    half = in_another_process(port, request, seconds, core / 2)
    return {
        "rate": count / found["seconds"],
        "core": core,
        "p50": statistics.median(half["waits"]),
        "p99": sorted(half["waits"])[int(len(half["waits"]) * 0.99) - 1],
        "half": len(half["waits"]) / half["seconds"],
    }


def served(log: Any) -> Process:
    """An API that nobody is too quick for."""
    import os

    from bi_app.api.rest.serve import command

    port = free_port()
    rates = {"CARREL_API_RATE": "100000000", "CARREL_API_ADDRESS_RATE": "100000000"}
    server = Process(command(port), port, log, cwd=ROOT, env=os.environ | rates)
    server.wait("/ready")
    return server


def policies_off() -> None:
    """Let the librarian's login read the circulation table without a policy."""
    from warehouse.database import connect

    with connect() as db:
        db.execute("alter table gold.library_circulation disable row level security")


def line(name: str, found: dict[str, float]) -> None:
    print(
        f"| {name} | {found['rate']:,.0f} | {found['core']:,.0f} |"
        f" {found['p50']:.1f} / {found['p99']:.1f} ms at {found['half']:,.0f}/s |",
        flush=True,
    )


def run(seconds: float, log: Any) -> None:
    """Print the table."""
    from bi_app.auth.accounts import create_account

    create_account(EMAIL, "Bench", "librarian", ("CEN", "BEL", "ASH"), None, PASSWORD)
    server = served(log)
    try:
        asked = {"email": EMAIL, "password": PASSWORD}
        token = httpx.post(f"{server.base}{PREFIX}/token", json=asked).json()["access_token"]
        print("| | requests/s | a core | half of that: p50 / p99 |\n|---|---|---|---|")
        line("a measure (cards), policies on", measured(server, token, MEASURE, seconds))
        line("a measure (90 days), policies on", measured(server, token, DAILY, seconds))
        on = measured(server, token, ROWS, seconds)
        line("50 rows of gold from PostgreSQL, policies on", on)
        policies_off()
        off = measured(server, token, ROWS, seconds)
        line("the same, policies off", off)
        print(f"policies cost {1e3 / on['core'] - 1e3 / off['core']:.2f} ms of CPU of the API")
    finally:
        server.stop()


def main(arguments: list[str]) -> None:
    """Seed a library, serve, measure."""
    import tempfile
    from pathlib import Path

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=float, default=8)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, database(asked.loans, 20_000):
        run(asked.seconds, Path(folder) / "api.log")


if __name__ == "__main__":
    main(sys.argv[1:])
