"""The page under load: first paint, interactive, a filter change, memory a session.

    python benchmarks/page.py [--loans 5000000] [--sessions 20] [--streamlit]

A real `panel serve` with a seeded library behind it; server CPU is read from the process. The
database is the one that the settings name, or an embedded one made for the run. With `--streamlit`
the same page, written as one would in Streamlit, runs beside it from a throwaway environment.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PASSWORD, EMAIL = "a quiet reading room", "bench@carrel.example"
WARM = 10
PAST = 32  # seconds after which the pages that were left have been forgotten
CHANGES = [
    "[data-period='30d']",
    "[data-period='12m']",
    "[data-pick=returns]",
    "[data-period='90d']",
    "[data-branch=CEN]",
    "[data-period='all']",
    "[data-pick=total]",
    "[data-branch=ASH]",
    "[data-period='year']",
    "[data-branch=CEN]",
    "[data-pick=checkouts]",
    "[data-branch=ASH]",
]


@dataclass
class Figures:
    """What was measured; times in ms, memory in MB."""

    session_cpu: list[float] = field(default_factory=list)
    session_wall: list[float] = field(default_factory=list)
    session_mb: float = 0
    process_mb: float = 0
    paint: list[float] = field(default_factory=list)
    interactive: list[float] = field(default_factory=list)
    change_wall: list[float] = field(default_factory=list)
    change_cpu: list[float] = field(default_factory=list)


class Process:
    """A server process and its CPU time."""

    def __init__(self, command: list[str], port: int, log: Path, **options: Any) -> None:
        self.base = f"http://127.0.0.1:{port}"
        with log.open("wb") as out:
            self.popen = subprocess.Popen(command, stdout=out, stderr=out, **options)
        self.process, self.log = psutil.Process(self.popen.pid), log

    def cpu(self) -> float:
        """CPU of the process so far, in ms."""
        times = self.process.cpu_times()
        return (times.user + times.system) * 1000

    def memory(self) -> float:
        """Resident memory, in MB."""
        return self.process.memory_info().rss / 1e6

    def wait(self, path: str, seconds: float = 120) -> None:
        """Wait until a path answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if httpx.get(self.base + path, timeout=3).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self.popen.poll() is not None:
                break
            time.sleep(0.3)
        raise SystemExit(self.log.read_text())

    def settle(self) -> None:
        """Wait until the process is idle."""
        before = self.cpu()
        while True:
            time.sleep(1)
            now = self.cpu()
            if now - before < 20:
                return
            before = now

    def stop(self) -> None:
        """End it."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()


@contextmanager
def database(loans: int, titles: int) -> Iterator[None]:
    """An embedded PostgreSQL of its own, with the gold of a library of that many checkouts."""
    home = Path(tempfile.mkdtemp(prefix="carrel-bench-"))
    home.chmod(0o755)
    for name in [n for n in os.environ if n.startswith("CARREL_") and n != "CARREL_CHROMIUM"]:
        del os.environ[name]
    os.environ |= {"CARREL_HOME": str(home), "CARREL_PG_PORT": "17432"}
    from deployments.postgres import server
    from warehouse.database import connect
    from warehouse.migrate import migrate

    running = server()
    running.start()
    try:
        running.make_database()
        migrate()
        from bi_app.auth.accounts import create_account
        from tests.bi_app.gold_rows import fill

        with connect() as connection:
            fill(
                connection,
                branches=12,
                days=1096,
                checkouts=loans,
                titles=titles,
                last=dt.date(2026, 10, 31),
            )
            connection.execute("analyze")
        create_account(EMAIL, "Bench", "admin", password=PASSWORD)
        yield
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


def sessions(server: Process, count: int, figures: Figures) -> None:
    """Open `count` sessions over real websockets; CPU, wall and memory of each."""
    from tests.bi_app.client import Client

    client = Client(server.base)
    client.sign_in(EMAIL, PASSWORD)
    kept = []
    for place in range(count + WARM):
        if place == WARM:  # the first ones import, compile and fill what the allocator keeps
            server.settle()
            memory = server.memory()
        cpu, wall = server.cpu(), time.perf_counter()
        opened = client.socket("/overview")
        opened.pull()
        taken = (time.perf_counter() - wall) * 1000
        time.sleep(0.15)
        kept.append(opened)
        if place >= WARM:
            figures.session_wall.append(taken)
            figures.session_cpu.append(server.cpu() - cpu)
    figures.process_mb = server.memory()
    figures.session_mb = (figures.process_mb - memory) / count
    for opened in kept:
        opened.close()
    client.close()


def journeys(server: Process, rounds: int, figures: Figures) -> None:
    """Open the page in Chromium and change filters; wall until drawn, CPU of the server."""
    from playwright.sync_api import sync_playwright

    from tests.bi_app.chromium import launch

    with sync_playwright() as playwright:
        browser = launch(playwright)
        for _ in range(rounds):
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(f"{server.base}/sign-in?next=/overview")
            page.fill("#email", EMAIL)
            page.fill("#password", PASSWORD)
            page.press("#password", "Enter")
            page.wait_for_selector("html[data-ready]")
            page.goto(f"{server.base}/overview")
            page.wait_for_selector("html[data-ready]")
            figures.interactive.append(page.evaluate("performance.now()"))
            figures.paint.append(
                page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            )
            page.click(".choose summary")
            time.sleep(PAST)
            server.settle()
            for selector in CHANGES:
                change(page, server, selector, figures)
            page.context.close()
        browser.close()


def change(page: Any, server: Process, selector: str, figures: Figures) -> None:
    """One filter change; wall time from the click until the browser has drawn the answer."""
    cpu = server.cpu()
    wall = page.evaluate(
        """selector => new Promise(done => {
            const start = performance.now();
            const seen = new MutationObserver(() => {
              if (document.body.classList.contains("busy")) return;
              seen.disconnect();
              const drawn = () => done(performance.now() - start);
              requestAnimationFrame(() => requestAnimationFrame(drawn));
            });
            document.querySelector(selector).click();
            seen.observe(document.body, {attributes: true, attributeFilter: ["class"]});
          })""",
        selector,
    )
    time.sleep(0.4)
    figures.change_wall.append(wall)
    figures.change_cpu.append(server.cpu() - cpu)


def median(values: list[float]) -> float:
    return statistics.median(values)


def p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)]


def report(figures: Figures, loans: int, count: int) -> None:
    """Print the figures beside what the issue asks for."""
    rows = [
        (
            "session opening, server CPU, ms (p50 / p95)",
            median(figures.session_cpu),
            p95(figures.session_cpu),
            "<= 250",
        ),
        (
            "session opening, wall, ms (p50 / p95)",
            median(figures.session_wall),
            p95(figures.session_wall),
            "",
        ),
        ("memory a session, MB / process with all, MB", figures.session_mb, figures.process_mb, ""),
        ("first contentful paint, ms (p50 / p95)", median(figures.paint), p95(figures.paint), ""),
        ("interactive, ms (p50 / p95)", median(figures.interactive), p95(figures.interactive), ""),
        (
            "filter change, server CPU, ms (mean / p95)",
            statistics.mean(figures.change_cpu),
            p95(figures.change_cpu),
            "<= 40",
        ),
        (
            "filter change until drawn, wall, ms (p50 / p95)",
            median(figures.change_wall),
            p95(figures.change_wall),
            "",
        ),
    ]
    print(f"\nOverview as admin, {loans:,} loans, {count} sessions held open")
    for name, first, second, asked in rows:
        print(f"  {name:<50} {first:8.1f} {second:8.1f}   {asked}")


STREAMLIT = ROOT / "benchmarks" / "streamlit_page.py"


def streamlit(rounds: int) -> None:
    """The same page in Streamlit: wall and server CPU of a filter change."""
    folder = Path(tempfile.mkdtemp(prefix="carrel-streamlit-"))
    try:
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        python = folder / "venv" / "bin" / "python"
        packages = ["streamlit", "plotly", "psycopg[binary]", "pandas"]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        measure_streamlit(python, folder, rounds)
    except subprocess.CalledProcessError as failed:
        print(f"\nStreamlit could not be installed: {failed}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_streamlit(python: Path, folder: Path, rounds: int) -> None:
    from playwright.sync_api import sync_playwright

    from tests.bi_app.chromium import launch
    from tests.ports import free_port
    from warehouse.settings import settings

    port = free_port()
    url = settings().url().set(drivername="postgresql").render_as_string(hide_password=False)
    server = Process(
        [
            str(python),
            "-m",
            "streamlit",
            "run",
            str(STREAMLIT),
            "--server.headless",
            "true",
            "--server.port",
            str(port),
            "--browser.gatherUsageStats",
            "false",
            "--server.address",
            "127.0.0.1",
        ],
        port,
        folder / "log",
        env=os.environ | {"BENCH_DATABASE": url},
    )
    try:
        server.wait("/_stcore/health")
        with sync_playwright() as playwright:
            browser = launch(playwright)
            walls, cpus, opening = streamlit_changes(browser, server, rounds)
            browser.close()
        print("\nThe same page in Streamlit")
        print(f"  {'session opening, server CPU, ms (p50)':<50} {median(opening):8.1f}")
        print(
            f"  {'filter change, server CPU, ms (mean / p95)':<50}"
            f" {statistics.mean(cpus):8.1f} {p95(cpus):8.1f}"
        )
        print(
            f"  {'filter change until drawn, wall, ms (p50 / p95)':<50}"
            f" {median(walls):8.1f} {p95(walls):8.1f}"
        )
    finally:
        server.stop()


def streamlit_changes(
    browser: Any, server: Process, rounds: int
) -> tuple[list[float], list[float], list[float]]:
    walls: list[float] = []
    cpus: list[float] = []
    opening: list[float] = []
    for turn in range(rounds + 1):
        cpu = server.cpu()
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(server.base)
        page.wait_for_selector("text=Top titles", timeout=180_000)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        server.settle()
        if turn:
            opening.append(server.cpu() - cpu)
        labels = ["30 days", "12 months", "90 days", "All", "This year", "12 months"]
        for label in labels:
            cpu, wall = server.cpu(), time.perf_counter()
            page.get_by_text(label, exact=True).first.click()
            page.wait_for_function(f"document.querySelector('.bench')?.textContent === '{label}'")
            page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
            taken = (time.perf_counter() - wall) * 1000
            time.sleep(0.5)
            if turn:
                walls.append(taken)
                cpus.append(server.cpu() - cpu)
        page.context.close()
    return walls, cpus, opening


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=5_000_000)
    parser.add_argument("--titles", type=int, default=200_000)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streamlit", action="store_true")
    asked = parser.parse_args()
    with database(asked.loans, asked.titles):
        from bi_app.serve import command, environment
        from tests.ports import free_port

        port, figures = free_port(), Figures()
        log = Path(tempfile.mkstemp(prefix="carrel-bench-", suffix=".log")[1])
        started = time.perf_counter()
        server = Process(command(port), port, log, cwd=ROOT, env=os.environ | environment())
        try:
            server.wait("/health")
            print(f"serving after {time.perf_counter() - started:.1f} s", flush=True)
            server.settle()
            print(
                f"all fetched ahead after {time.perf_counter() - started:.1f} s,"
                f" {server.memory():.0f} MB",
                flush=True,
            )
            journeys(server, asked.rounds, figures)
            sessions(server, asked.sessions, figures)
        finally:
            server.stop()
        report(figures, asked.loans, asked.sessions)
        if asked.streamlit:
            streamlit(asked.rounds)


if __name__ == "__main__":
    main()
