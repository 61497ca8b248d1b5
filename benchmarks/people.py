"""People at once: pages held open over real websockets, each choosing anew every eight seconds.

    python -m benchmarks people [--loans 5000000] [--steps 40,80] [--seconds 32]

The same for one process of the app and for two behind the sticky proxy that Carrel ships. Times
are from a choice due until the page says that it is answered; CPU is that of the app (and proxy)
alone, with what open pages cost that nobody touches, and so is the memory a session, above what
the processes hold once a few people have chosen all there is. With the default steps four minutes
at most; `--steps 40,80,160,320` climbs until p95 is over a second.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.page import EMAIL, PASSWORD, ROOT, Process, database, p95
from tests.ports import free_port

EVERY = 8.0  # seconds between two choices of one person
PERIODS = ("30d", "90d", "12m", "year", "all")
BRANCHES = ((), ("CEN",), ("ASH",), ("CEN", "ASH"))
WARM = 6  # people before those that are measured
LIMIT = 1000  # ms: a step whose p95 is above ends the climb


@dataclass
class Person:
    """One browser with an open page; `waits` are its answers' times in ms."""

    base: str
    seed: int
    period: str = "12m"  # what a page opens with
    waits: list[float] = field(default_factory=list)

    def open(self) -> None:
        from tests.bi_app.client import Client

        self.client = Client(self.base)
        self.client.sign_in(EMAIL, PASSWORD)
        self.socket = self.client.socket("/overview")
        self.socket.pull()
        self.model = self.socket.controls()

    def choose_until(self, end: float) -> None:
        """Choose at a moment of its own in every eight seconds."""
        drawn = random.Random(self.seed)
        due = time.monotonic() + drawn.uniform(0, EVERY)
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            others = [p for p in PERIODS if p != self.period]  # the same again is not answered
            self.choose(drawn.choice(others), list(drawn.choice(BRANCHES)))
            self.waits.append((time.monotonic() - due) * 1000)  # with what it was late
            due += EVERY

    def choose(self, period: str, branches: list[str]) -> None:
        self.period = period
        self.socket.choose(self.model, period=period, branches=branches)

    def leave(self) -> None:
        self.socket.close()
        self.client.close()


@contextmanager
def serving(processes: int) -> Iterator[tuple[str, list[Process]]]:
    """The app in so many processes; several stand behind the proxy."""
    from bi_app.serve import command, environment

    folder, variables = Path(tempfile.mkdtemp(prefix="carrel-bench-")), os.environ | environment()
    public = free_port()
    ports = [free_port() for _ in range(processes)] if processes > 1 else [public]
    started = []
    try:
        for port in ports:
            words = command(port, public=public if processes > 1 else None)
            log = folder / str(port)
            started.append(Process(words, port, log, cwd=ROOT, env=variables))
        if processes > 1:
            to = [part for port in ports for part in ("--to", str(port))]
            words = [sys.executable, "-m", "deployments.proxy", "--port", str(public), *to]
            started.append(Process(words, public, folder / "proxy", cwd=ROOT, env=variables))
        for process in started:
            process.wait("/health")
        for process in started:
            process.settle()
        yield started[-1].base, started
    finally:
        for process in reversed(started):
            process.stop()


def climb(processes: int, steps: list[int], seconds: float) -> None:
    """More and more people, until an answer in twenty takes over a second."""
    with serving(processes) as (base, started):
        warm(base, started)
        memory = sum(p.memory() for p in started)
        people: list[Person] = []
        for count in steps:
            people += (came := [Person(base, seed) for seed in range(len(people), count)])
            for person in came:
                person.open()
            waits, cpu = measured(people, started, seconds)
            print(
                f"  {processes:>9} {count:>6} {statistics.median(waits):>8.0f} {p95(waits):>8.0f}"
                f" {max(waits):>8.0f} {cpu / len(waits):>8.1f}"
                f" {(sum(p.memory() for p in started) - memory) / count:>8.2f}",
                flush=True,
            )
            if p95(waits) > LIMIT:
                break
        for person in people:
            person.leave()


def warm(base: str, started: list[Process]) -> None:
    """A few people choose all there is, on each process, and leave: caches and allocator fill."""
    came = [Person(base, seed) for seed in range(WARM)]
    for person in came:
        person.open()
        for period in PERIODS:
            for branches in BRANCHES:
                person.choose(period, list(branches))
    for person in came:
        person.leave()
    for process in started:
        process.settle()


def measured(
    people: list[Person], started: list[Process], seconds: float
) -> tuple[list[float], float]:
    """Every answer's time and the CPU of all, in ms, while people choose for so long."""
    for process in started:
        process.settle()
    end, cpu = time.monotonic() + seconds, sum(p.cpu() for p in started)
    for person in people:
        person.waits.clear()
    threads = [threading.Thread(target=p.choose_until, args=(end,)) for p in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [w for p in people for w in p.waits], sum(p.cpu() for p in started) - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=5_000_000)
    parser.add_argument("--titles", type=int, default=200_000)
    parser.add_argument("--steps", default="40,80")
    parser.add_argument("--seconds", type=float, default=32)
    asked = parser.parse_args()
    with database(asked.loans, asked.titles):
        print(f"\nOverview as admin, {asked.loans:,} loans, a choice every {EVERY:.0f} s each")
        heads = ("processes", "people", "p50 ms", "p95 ms", "most ms", "CPU ms", "MB each")
        print("  {:>9} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}".format(*heads))
        for processes in (1, 2):
            climb(processes, [int(s) for s in asked.steps.split(",")], asked.seconds)


if __name__ == "__main__":
    main()
