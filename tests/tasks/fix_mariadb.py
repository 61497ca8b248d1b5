"""A MariaDB server of the test run's own, where `mariadbd` is installed.

`MARIADB_ROOT` names a folder in which its package is unpacked; default: where PATH finds it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from warehouse.settings import settings

ROOT = Path(os.environ.get("MARIADB_ROOT", "/"))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """URL of an empty database `other`, as a user who may do anything there."""
    if not _program():
        if settings().strict:
            pytest.fail("mariadbd is not installed")
        pytest.skip("mariadbd is not installed (Debian: apt-get install mariadb-server-core)")
    with served() as url:
        yield url


def _program() -> str | None:
    places = [os.environ["PATH"], *(str(ROOT / p) for p in ("usr/sbin", "usr/bin"))]
    return shutil.which("mariadbd", path=os.pathsep.join(places))


@contextmanager
def served() -> Iterator[str]:
    """A server with an empty database `other`; yields its URL."""
    folder = Path(tempfile.mkdtemp(prefix="carrel_mariadb_"))
    port = free_port()
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [str(_program()), *_options(folder, port)],
            env=os.environ | {"LD_LIBRARY_PATH": str(ROOT / "usr/lib/x86_64-linux-gnu")},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        _wait(port, running, folder / "log")
        yield f"mysql://root@127.0.0.1:{port}/other"
    finally:
        running.kill()
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _options(folder: Path, port: int) -> list[str]:
    """Without tables of rights nobody signs in: it listens on loopback for this run alone."""
    (folder / "data" / "other").mkdir(parents=True)
    return [
        "--no-defaults",
        "--skip-grant-tables",
        f"--user={os.environ.get('USER', 'root')}",
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 'socket'}",
        f"--pid-file={folder / 'pid'}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--innodb-buffer-pool-size=16M",
        f"--lc-messages-dir={ROOT / 'usr/share/mysql'}",
        f"--character-sets-dir={ROOT / 'usr/share/mysql/charsets'}",
        "--skip-networking=0",
        "--secure-file-priv=",
    ]


def _wait(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if running.poll() is not None:
            break
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    pytest.fail(f"mariadbd did not start: {log.read_text('utf-8', 'replace')[-2000:]}")
