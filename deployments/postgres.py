"""The embedded PostgreSQL: the wheel's binaries, run by us.

Scram passwords, loopback only, no socket file (its path may be too long), data in `.carrel/`.
PostgreSQL refuses to run as root, so root drops to an unprivileged account; where that account
cannot reach `.carrel/` or the binaries, both live below `/var/lib/carrel` and `.carrel/` keeps
a pointer. Folders that exist are never given other rights.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from deployments.facts import note
from deployments.ports import LOOPBACK, free_port, is_free
from tasks.programs import BINARIES, WHEEL
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.settings import settings

ACCOUNTS = ("carrel", "postgres", "nobody")
OUTSIDE = Path("/var/lib/carrel")
SUPERUSER = "postgres"
START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """One embedded server: its state below `home`, its first port tried.

    One that need not survive a power cut (a test's) is not `durable`: it waits for no disk, and
    hashes its logins' long random passwords once instead of 4,096 times at each connection.
    """

    home: Path
    first_port: int
    durable: bool = True

    @cached_property
    def account(self) -> pwd.struct_passwd | None:
        """The account that runs it when we are root; None: ourselves."""
        if os.geteuid() != 0:
            return None
        known = {a.pw_name: a for a in pwd.getpwall()}
        for name in ACCOUNTS:
            if name in known:
                return known[name]
        raise ConfigurationError(
            "PostgreSQL refuses to run as root and there is no account for it.",
            remedy="Make one (`useradd --system carrel`) or run Carrel as an ordinary user.",
        )

    @cached_property
    def data(self) -> Path:
        """The data folder; below `/var/lib/carrel` where the account cannot reach our own."""
        pointer = self.home / "postgres.data"
        if pointer.exists():
            return Path(pointer.read_text().strip())
        place = self.home / "postgres"
        if not _reaches(self.account, self.home):
            place = _outside() / secrets.token_hex(6)
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o755)
        (place / "home.txt").write_text(f"{self.home}\n")
        pointer.write_text(str(place / "data"))
        return place / "data"

    @cached_property
    def runtime(self) -> Path:
        """The folder whose `bin` holds the binaries; a copy where the account cannot reach them."""
        spec = find_spec(WHEEL)
        if spec is None or spec.origin is None:
            raise ConfigurationError("The PostgreSQL wheel is missing.", remedy="Run `make up`.")
        package = Path(spec.origin).parent
        if _reaches(self.account, package / BINARIES / "bin"):
            return package / BINARIES
        return _copied(package) / BINARIES

    def command(self, port: int) -> list[str]:
        """The command that runs it in the foreground."""
        return [self._binary("postgres"), "-D", str(self.data), *self._options(port)]

    def prepare(self) -> None:
        """Make the data folder unless it is there, and clear what a kill left behind."""
        with self._locked():
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            _clear_orphans(self.data)

    def start(self) -> int:
        """Run it detached and return its port; a server that runs already stays as it is."""
        port = self.running_port()
        while port is None:
            self.prepare()
            free = free_port(self.first_port)
            self._start(free)
            port = self.running_port()
            if port is None and is_free(free):  # else somebody was quicker
                raise self._not_started(free)
        self.wait(port)
        note(pg_port=port)
        self.make_database()
        return port

    def _start(self, port: int) -> None:
        """Start it detached, and wait until it is up or has failed."""
        detached = [self._binary("pg_ctl"), "start", "-w", "-s", "-D", str(self.data)]
        detached += ["-t", str(START_SECONDS), "-o", shlex.join(self._options(port))]
        with (self.home / "postgres.log").open("ab") as log:
            subprocess.run(
                detached,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as_account(),
            )

    def stop(self) -> None:
        """Stop it; quietly when it does not run."""
        main = _postmaster(self.data) if self.running_port() else None
        if main is None:
            return
        main.send_signal(signal.SIGINT)  # "fast": ends sessions, loses nothing
        try:
            main.wait(30)
        except psutil.TimeoutExpired:
            main.send_signal(signal.SIGQUIT)
            main.wait(10)

    def running_port(self) -> int | None:
        """The port it listens on, or None when it does not run."""
        lines = self._pid_file()
        return int(lines[3]) if len(lines) > 3 else None

    def _pid_file(self) -> list[str]:
        """What the running server tells of itself; nothing where it does not run."""
        if not (self.home / "postgres.data").exists() or _postmaster(self.data) is None:
            return []
        return (self.data / "postmaster.pid").read_text().splitlines()

    def wait(self, port: int, seconds: float = START_SECONDS) -> None:
        """Wait until it accepts connections.

        Raises:
            CarrelError: it did not, within the time; the log's place is named.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # Not pg_isready: another home's server may answer on that port.
            told = self._pid_file()
            if len(told) > 7 and told[3] == str(port) and told[7].strip() == "ready":
                return
            time.sleep(0.05)
        raise self._not_started(port)

    def _not_started(self, port: int) -> CarrelError:
        remedy = f"Read {self.home}/postgres.log."
        return CarrelError(f"PostgreSQL did not start on port {port}.", remedy=remedy)

    def make_database(self) -> None:
        """Make the owner's login and the database, unless they are there.

        The owner may create roles and databases, but is no superuser.
        """
        owner, name = settings().login("owner"), settings().database
        with self._as_superuser() as db:
            if not db.execute("select 1 from pg_roles where rolname = %s", [owner]).fetchone():
                verifier = db.pgconn.encrypt_password(
                    settings().secrets["owner"].encode(), owner.encode(), b"scram-sha-256"
                )
                make = sql.SQL("create role {} login createrole createdb password {}")
                db.execute(make.format(sql.Identifier(owner), sql.Literal(verifier.decode())))
            if not db.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                make = sql.SQL("create database {} owner {}")
                db.execute(make.format(sql.Identifier(name), sql.Identifier(owner)))

    def _as_superuser(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=LOOPBACK,
            port=self.running_port(),
            user=SUPERUSER,
            password=settings().secrets["superuser"],
            dbname="postgres",
            autocommit=True,
        )

    def _binary(self, name: str) -> str:
        return str(self.runtime / "bin" / name)

    def _options(self, port: int) -> list[str]:
        values = _tuning() | {"port": str(port), "listen_addresses": LOOPBACK}
        if not self.durable:
            values |= {"fsync": "off", "full_page_writes": "off", "scram_iterations": "1"}
        return [part for name, value in values.items() for part in ("-c", f"{name}={value}")]

    def _as_account(self) -> dict[str, Any]:
        """Popen's arguments to run as the account, from a folder that it can reach."""
        rights: dict[str, Any] = {"cwd": self.data if self.data.exists() else "/"}
        rights["env"] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        if self.account:
            rights |= {"user": self.account.pw_uid, "group": self.account.pw_gid}
            rights |= {"extra_groups": [], "cwd": "/"}
        return rights

    def _initialise(self) -> None:
        """Run initdb with a generated superuser password, in a draft that is renamed when whole."""
        draft = self.data.with_name("draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent) as password:
            password.write(settings().secrets["superuser"])
            password.flush()
            if self.account:
                for path in (draft, Path(password.name)):
                    os.chown(path, self.account.pw_uid, self.account.pw_gid)
            self._initdb(draft, password.name)
        draft.rename(self.data)

    def _initdb(self, folder: Path, password_file: str) -> None:
        command = [self._binary("initdb"), "-D", str(folder), "-U", SUPERUSER]
        command += ["--pwfile", password_file, "--auth=scram-sha-256", "--encoding=UTF8"]
        command += ["--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"]
        command += [] if self.durable else ["--no-sync"]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, **self._as_account()
        )
        if done.returncode:
            raise CarrelError(
                f"PostgreSQL's data folder could not be made: {done.stderr.strip()}",
                remedy=f"Look at {folder.parent}.",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time prepare the data; the kernel frees the lock of a killed one."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def server() -> Server:
    """The embedded server of these settings."""
    return Server(settings().home.resolve(), settings().pg_port)


def _reaches(account: pwd.struct_passwd | None, folder: Path) -> bool:
    """Whether the account may enter the folder and each one above it."""
    if account is None:
        return True
    return all(_enters(account, p.stat()) for p in (folder.resolve(), *folder.resolve().parents))


def _enters(account: pwd.struct_passwd, place: os.stat_result) -> bool:
    if place.st_uid == account.pw_uid:
        return bool(place.st_mode & stat.S_IXUSR)
    if place.st_gid == account.pw_gid:
        return bool(place.st_mode & stat.S_IXGRP)
    return bool(place.st_mode & stat.S_IXOTH)


def _outside() -> Path:
    """The folder for what cannot stay at home; made so that every account may enter it."""
    if not OUTSIDE.exists():
        OUTSIDE.mkdir(parents=True, exist_ok=True)
        OUTSIDE.chmod(0o755)
    return OUTSIDE


def _copied(package: Path) -> Path:
    """A copy of the runtime that everybody may read; made once a version of the wheel."""
    place = OUTSIDE / f"runtime-{version(WHEEL.replace('_', '-'))}"
    if not place.exists():
        draft = Path(tempfile.mkdtemp(dir=_outside()))
        # The binaries find their libraries relative to themselves: both folders, side by side.
        shutil.copytree(package / BINARIES, draft / WHEEL / BINARIES)
        shutil.copytree(package.with_name(f"{WHEEL}.libs"), draft / f"{WHEEL}.libs")
        draft.chmod(0o755)
        try:
            draft.rename(place)
        except OSError:  # another process was first
            shutil.rmtree(draft)
    return place / WHEEL


def _postmaster(data: Path) -> psutil.Process | None:
    """The running main process of a data folder; a pid file that a kill left counts for nothing."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        return process if process.name() == "postgres" and Path(process.cwd()) == data else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _clear_orphans(data: Path) -> None:
    """After a kill -9 of the main process: wait for its children, then take its pid file away."""
    if _postmaster(data) is not None:
        return
    orphans = [p for p in psutil.process_iter(["name", "cwd"]) if p.info["cwd"] == str(data)]
    for process in orphans:
        if process.info["name"] == "postgres":
            process.terminate()
    psutil.wait_procs(orphans, timeout=10)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _tuning() -> dict[str, str]:
    """Settings for one machine that loads in bulk and reads wide; memory in kB."""
    memory = psutil.virtual_memory().total // 1024
    cores = psutil.cpu_count() or 2
    return {
        "unix_socket_directories": "",
        "shared_buffers": f"{_between(128 * 1024, memory // 8, 1024 * 1024)}kB",
        "effective_cache_size": f"{memory // 2}kB",
        "maintenance_work_mem": f"{_between(64 * 1024, memory // 32, 512 * 1024)}kB",
        "work_mem": "32MB",
        # Hash joins that are spread over processes then need not ask the kernel for fresh memory.
        "min_dynamic_shared_memory": f"{_between(64, memory // 16384, 512)}MB",
        # A table filled in the transaction that made it then needs no write-ahead log.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "max_connections": "100",
        "max_parallel_workers": str(cores),
        "max_parallel_workers_per_gather": str(max(1, cores // 2)),
        "max_parallel_maintenance_workers": str(max(1, cores // 2)),
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
