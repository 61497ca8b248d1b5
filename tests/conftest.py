"""Every test runs in a Carrel of its own: a temporary home, no setting from outside.

Only CARREL_SHARED and CARREL_STRICT pass through. The home is made before anything is collected,
so that a test module may read the settings while it is imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import certifi
import hypothesis
import psutil
import pytest

from warehouse.settings import tell_libraries

PASSED_THROUGH = ("CARREL_SHARED", "CARREL_STRICT", "CARREL_CHROMIUM")
MOST_WORKERS = 4
WORKER_BYTES = 4 * 10**9  # with what it starts, at the most


def _isolate() -> None:
    """Point this process, and those it starts, at an empty home."""
    if broker := os.environ.get("CARREL_KAFKA_BOOTSTRAP"):
        os.environ["GIVEN_KAFKA_BOOTSTRAP"] = broker  # for tests that ask for one: fix_kafka.py
    for name in list(os.environ):
        if name.startswith(("CARREL_", "PREFECT_")) and name not in PASSED_THROUGH:
            del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="carrel test "))
    home.chmod(0o755)  # as root, PostgreSQL runs as an account that must reach its data
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {
        "CARREL_HOME": str(home),
        "CARREL_PROJECT": str(home / "local"),
        "CARREL_DATABASE": "ask_for_the_fixture_database",
        "CARREL_PG_PORT": "15432",
    }
    _trust_one(home / "authority.pem")
    tell_libraries()


def _trust_one(path: Path) -> None:
    """Have HTTP clients read one authority instead of all that certifi has.

    Each client reads them when it is made, for 0.03 seconds, also if it never speaks TLS: that was
    a tenth of all that the tests did.
    """
    end = "-----END CERTIFICATE-----\n"
    path.write_text(certifi.contents().partition(end)[0] + end, "ascii")
    os.environ["SSL_CERT_FILE"] = os.environ["PREFECT_API_SSL_CERT_FILE"] = str(path)


_isolate()
# A shell that runs the tests in its background lets them, and what they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tests.fix_warehouse",
    "tests.fix_prefect",
    "tests.fix_shared",
    "tests.fix_kafka",
    "tests.fix_stream",
]


def pytest_configure(config: pytest.Config) -> None:
    """Property tests use the same examples each time; `make test-full` looks for new ones."""
    hypothesis.settings.register_profile("seeded", derandomize=True)
    if not config.option.markexpr:
        hypothesis.settings.load_profile("seeded")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Workers of `make test`: one a core and one more, none for a selection (they start slowly).

    One more, as workers wait for the programs that they have started a good part of their time.
    Each has a home, a PostgreSQL, a browser and more of its own, so memory limits their number.
    """
    everything = config.args_source is config.ArgsSource.TESTPATHS and not config.option.keyword
    cores, room = len(os.sched_getaffinity(0)), psutil.virtual_memory().total // WORKER_BYTES
    return min(cores + (room > cores), MOST_WORKERS) if everything and cores > 1 else 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files of browser tests last; long sweeps not at all unless `-m` says otherwise.

    Playwright keeps an event loop running in the main thread, in which Prefect's flows cannot run.
    Workers take whole files in this order, so that it holds in each of them.
    """
    late = {item.path for item in items if item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path in late)
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("full")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
