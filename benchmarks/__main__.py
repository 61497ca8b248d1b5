"""Every benchmark, one after the other; `make bench ARGS="batch gold"` for some.

Each prints its own table. They share an embedded PostgreSQL in a temporary home, made for the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = {
    "batch": ["--peers", "--large"],
    "gold": [],
    "sources": [],
    "run": [],
    "verify": [],
    "page": ["--streamlit"],
    "people": ["--steps", "40"],
    "quality": [],
    "anomalies": [],
    "quality_pages": [],
    "api": [],
    "stream": ["--peer"],
}


def main(wanted: list[str]) -> int:
    """Run the wanted benchmarks, or all; return how many failed."""
    with tempfile.TemporaryDirectory(prefix="carrel-bench-") as home:
        Path(home).chmod(0o755)  # as root, PostgreSQL runs as an account that must reach it
        os.environ |= {"CARREL_HOME": home, "CARREL_PG_PORT": "15532"}
        from deployments.postgres import server

        running = server()
        running.start()
        try:
            return sum(run(name) for name in wanted or COMMANDS)
        finally:
            running.stop()


def run(name: str) -> int:
    """Run one benchmark in a process of its own; 1 when it failed."""
    print(f"== {name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *COMMANDS[name]]
    return int(subprocess.run(command, check=False).returncode != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
