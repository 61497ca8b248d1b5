"""`carrel doctor`: is this machine fit, and what to do where it is not."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from deployments import pipeline, stream_health, supervision
from deployments.ports import is_free
from warehouse.errors import CarrelError
from warehouse.settings import ROOT, settings

LOCK = ROOT / "requirements.lock"
PINNED = re.compile(r"^([a-zA-Z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+))?", re.MULTILINE)
LEAST_FREE = 2_000_000_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Finding:
    """One examination: its subject, whether it passed, what was found, what to do if not."""

    subject: str
    ok: bool
    found: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Every examination, the cheap ones first; none raises."""
    yield _python()
    yield _packages()
    yield _disk()
    yield from _permissions()
    yield from _ports()
    yield _database()
    yield _prefect()
    yield from stream_health.examine()
    yield _browser()
    yield _exposure()


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("Python", fits, found, "Install Python 3.11, 3.12 or 3.13 and run `make up`.")


def _packages() -> Finding:
    """Whether what is installed is what the lock says."""
    wanted = dict(_locked())
    wrong = sorted(name for name, pinned in wanted.items() if _installed(name) != pinned)
    found = f"{len(wanted)} as locked" if not wrong else f"not as locked: {', '.join(wrong)}"
    return Finding("packages", not wrong, found, "Remove .venv and run `make up`.")


def _locked() -> Iterator[tuple[str, str]]:
    from packaging.markers import Marker

    for name, pinned, marker in PINNED.findall(LOCK.read_text("utf-8")):
        if not marker or Marker(marker.strip()).evaluate():
            yield name, pinned


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _disk() -> Finding:
    place = settings().home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {place}"
    return Finding("disk", free > LEAST_FREE, found, "Free 2 GB, or set CARREL_HOME elsewhere.")


def _permissions() -> Iterator[Finding]:
    """Whether the folders that are written to can be; what is not there yet is made."""
    folders = {"home": settings().home, "project": settings().project}
    for name, folder in folders.items():
        place = folder
        while not place.exists():
            place = place.parent
        fits = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
        found = f"{name} at {folder} can{'' if fits else 'not'} be written"
        remedy = f"Run `chown` on {place}, or set CARREL_{name.upper()} elsewhere."
        yield Finding("permissions", fits, found, remedy)


def _ports() -> Iterator[Finding]:
    """Each port is ours, or free, or another's (then the next one is used, which is no fault)."""
    names = {
        "pg_port": "PostgreSQL", "prefect_port": "Prefect", "app_port": "app", "api_port": "API",
    }  # fmt: skip
    for key, name in names.items():
        ours, first = settings().stack.get(key), getattr(settings(), key)
        if ours and supervision.is_supervised():
            yield Finding("port", True, f"{ours} is our {name}")
        elif is_free(first):
            yield Finding("port", True, f"{first} is free for {name}")
        else:
            yield Finding("port", True, f"{first} is taken; {name} will get the next free one")


def _database() -> Finding:
    from warehouse.database import connect

    remedy = "Start it with `carrel up`, or see CARREL_DATABASE_URL."
    try:
        with connect(connect_timeout=5) as db:
            number = db.info.server_version // 10000
            applied = db.execute("select to_regclass('ops.migrations') is not null").fetchone()
    except CarrelError as error:
        return Finding("database", False, error.message, error.remedy or remedy)
    except OSError as error:
        return Finding("database", False, str(error), remedy)
    except Exception as error:  # psycopg's tree; its message may name the host, not the password
        return Finding("database", False, str(error).strip(), remedy)
    if not (applied and applied[0]):
        return Finding("database", False, "answers, but is empty", "Run `carrel migrate`.")
    found = f"PostgreSQL {number} answers, migrated"
    return Finding("database", number >= 15, found, "Carrel needs PostgreSQL 15 or newer.")


def _prefect() -> Finding:
    well, api = pipeline.answers(), settings().prefect_api
    found = f"API at {api} {'answers' if well else 'does not answer'}" if api else "does not run"
    remedy = "Start it with `carrel up`; then read .carrel/logs/prefect-server.log."
    return Finding("Prefect", well, found, remedy)


def _browser() -> Finding:
    """Only the page tests need one."""
    wanted = [str(settings().chromium)] if settings().chromium else list(BROWSERS)
    found = next((place for name in wanted if (place := shutil.which(name))), None)
    remedy = "Only the page tests need it: apt-get install chromium, or set CARREL_CHROMIUM."
    return Finding("browser", found is not None, found or f"none of {', '.join(wanted)}", remedy)


def _exposure() -> Finding:
    """Whether the app may start as it is set up: well-known passwords, readable secrets, TLS."""
    from bi_app.auth import exposure

    try:
        exposure.check(demo=settings().demo)
    except CarrelError as error:
        return Finding("exposure", False, error.message, error.remedy or "")
    seen = "with TLS" if settings().tls_certificate else "without TLS"
    return Finding("exposure", True, f"the app listens on {settings().app_listen}, {seen}")
