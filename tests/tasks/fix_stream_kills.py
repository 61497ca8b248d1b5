"""Killing what takes part in the stream, at seeded places, while it flows."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg

from deployments.postgres import Server
from tests.fix_stream import fates
from warehouse.settings import ROOT

PATIENCE_S = 180


@contextmanager
def consuming() -> Iterator[Callable[[], None]]:
    """A consumer beside us; what is given kills it and starts another."""
    command = [sys.executable, "-m", "deployments", "consume"]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for one in running:
            one.kill()
            one.wait()
        running[:] = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)]

    start()
    try:
        yield start
    finally:
        running[0].kill()
        running[0].wait()


def progress() -> int:
    """Records that are committed; the database may be away for a moment."""
    while True:
        try:
            return fates()["events"]
        except psycopg.OperationalError:
            time.sleep(0.1)


def wait_for(events: int) -> None:
    """Wait until so many records are committed; none for PATIENCE_S is too long.

    While the machine stands still, for us as for the others, no time passes.
    """
    waited, last, looked = 0.0, -1, time.monotonic()
    while (now := progress()) < events:
        waited = 0.0 if now > last else waited + min(1.0, time.monotonic() - looked)
        last, looked = now, time.monotonic()
        assert waited < PATIENCE_S, f"stopped at {now} of {events}"
        time.sleep(0.02)


def kill_postgres(postgres: Server) -> None:
    """Kill the server with all its processes, as a power cut would, and start it again."""
    main = psutil.Process(int((postgres.data / "postmaster.pid").read_text().split()[0]))
    for process in (main, *main.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it saw that the main one is gone, and went by itself
            process.kill()
    main.wait(10)
    postgres.start()


def survive(kinds: list[str], seed: int, rows: int, kills: dict[str, Callable[[], None]]) -> None:
    """Kill what the kinds say, each at a seeded place of the stream; then read to the end."""
    chance = random.Random(seed)
    places = sorted(chance.randrange(rows) for _ in kinds)
    for kind, place in zip(kinds, places, strict=True):
        wait_for(min(place, rows - 1))
        time.sleep(chance.uniform(0, 0.1))
        kills[kind]()
    wait_for(rows)


def mixed(kinds: list[str], count: int, seed: int) -> list[str]:
    """So many kills, each kind among them, in seeded order."""
    found = [kinds[n % len(kinds)] for n in range(count)]
    random.Random(seed).shuffle(found)
    return found
