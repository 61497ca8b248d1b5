"""Back up: one folder with the database, the project, the kept files, the settings, a manifest.

    carrel-20260102T030405Z/
        manifest.json     versions, the parts with their checksums, the rows of each table
        database.dump     pg_dump's custom format, of the very moment the rows were counted
        project.tar       own specs, contracts, migrations, gold (the project folder)
        files.tar         sources kept as they arrived (`files/` of the home)
        settings.json     the settings; keys and passwords in an encrypted backup only

With the setting `backup_key` every part is sealed (`tasks.sealed`) and ends in `.sealed`. The
folder is made under a hidden name and renamed when all of it is on disk: a killed one never looks
whole.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, cast

import psycopg
from psycopg import IsolationLevel, sql

from tasks.programs import major, program, start
from tasks.sealed import SALT, authentic, seal
from warehouse.database import connect
from warehouse.errors import Busy, CarrelError, ConfigurationError
from warehouse.pseudonyms import pseudonym
from warehouse.settings import filed, settings

FORMAT = 1
MANIFEST = "manifest.json"
NAME = re.compile(r"^carrel-\d{8}T\d{6}Z(-\d+)?$")
DRAFT = ".part-"
CHUNK = 1 << 20
# `carrel migrate` writes the first anew; nobody should stay signed in through a restore; records
# that are open before an admin are in quarantine.
LEFT_OUT = ("private.claim_key", "app.sessions", "app.held_records")
SECRET_SETTINGS = ("backup_key",)
TABLES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by 1, 2
"""


@dataclass(frozen=True)
class Part:
    """A file of a backup: its checksum and bytes as it lies there."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `tables` has the rows of each table that was dumped.

    `key_print` tells whether another home has the same pseudonym key, without giving it away.
    """

    format: int
    name: str
    made_at: str
    carrel: str
    postgres: int
    programs: int
    role_prefix: str
    key_print: str
    sealed: bool
    salt: str
    parts: tuple[Part, ...]
    tables: dict[str, int]
    left_out: tuple[str, ...]
    mac: str = ""

    def signed(self, key: str) -> str:
        """The manifest's HMAC under the backup key, for `mac`."""
        facts = asdict(self) | {"mac": ""}
        return authentic(json.dumps(facts, sort_keys=True).encode(), key, bytes.fromhex(self.salt))


def backup(to: Path | None = None, *, keep: int | None = None, days: int | None = None) -> Path:
    """Make a backup below `to` (default: `backups` in the home) and return its folder.

    Args:
        to: the folder of backups.
        keep: afterwards, only so many of the newest stay.
        days: afterwards, only those of so many days stay, and the newest in any case.

    Raises:
        ConfigurationError: no pg_dump is new enough, or `keep` or `days` is less than 1.
        Busy: another backup to this folder is under way.
        CarrelError: pg_dump failed; nothing is left.
    """
    if any(limit is not None and limit < 1 for limit in (keep, days)):
        raise ConfigurationError("Keep at least 1 backup, of at least 1 day.")
    folder = (to or settings().home / "backups").resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder):
        for left in folder.glob(f"{DRAFT}*"):  # by killed ones: we hold the lock
            shutil.rmtree(left)
        name = _free_name(folder)
        draft = folder / f"{DRAFT}{name}"
        draft.mkdir(mode=0o700)
        try:
            _fill(draft, name, folder)
            draft.rename(folder / name)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        _sync(folder)
        prune(folder, keep=keep, days=days)
    return folder / name


def backups(folder: Path) -> list[Path]:
    """The whole backups in a folder, oldest first."""
    return sorted(p for p in folder.glob("carrel-*") if NAME.match(p.name) and p.is_dir())


def prune(folder: Path, *, keep: int | None, days: int | None) -> list[Path]:
    """Drop old backups; the newest always stays. Returns those that went."""
    found = backups(folder)
    old = set(found[:-keep]) if keep else set()
    if days:
        limit = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
        old |= {p for p in found[:-1] if made_at(p) < limit}
    for path in sorted(old):
        # Renamed first, so that a kill leaves nothing that looks whole.
        shutil.rmtree(path.rename(path.with_name(f"{DRAFT}old-{path.name}")))
    return sorted(old)


def made_at(path: Path) -> dt.datetime:
    """When a backup was made, as its name says."""
    stamp = dt.datetime.strptime(path.name.split("-")[1], "%Y%m%dT%H%M%SZ")
    return stamp.replace(tzinfo=dt.UTC)


def key_print() -> str:
    """A print of the pseudonym key: 32 hexadecimal digits that tell nothing of it."""
    return pseudonym("carrel backup: print of the key")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel frees that of a killed backup."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"{folder}: another backup is under way.", remedy="Wait for it to end."
            ) from None
        yield


def _free_name(folder: Path) -> str:
    plain = f"carrel-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"
    taken = len(list(folder.glob(f"{plain}*")))
    return f"{plain}-{taken + 1}" if taken else plain


def _fill(draft: Path, name: str, folder: Path) -> None:
    """Write every part, then the manifest."""
    key = backup_key()
    writer = _Writer(draft, name, key, secrets.token_bytes(SALT))
    with _snapshot() as (connection, snapshot):
        postgres = connection.info.server_version // 10000
        dump = program("pg_dump", postgres)
        parts = [writer.put("database.dump", _dumped(dump, snapshot))]
        tables = _counted(connection)
    parts.append(writer.put("project.tar", _tarred(settings().project, folder)))
    parts.append(writer.put("files.tar", _tarred(settings().kept_files, folder)))
    parts.append(writer.put("settings.json", [_settings(with_secrets=key is not None)]))
    manifest = Manifest(
        FORMAT,
        name,
        dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        _carrel(),
        postgres,
        major(dump),
        settings().role_prefix,
        key_print(),
        key is not None,
        writer.salt.hex(),
        tuple(parts),
        tables,
        LEFT_OUT,
    )
    facts = asdict(manifest) | {"mac": manifest.signed(key) if key else ""}
    _write(draft / MANIFEST, [json.dumps(facts, indent=1).encode()])
    _sync(draft)


def _carrel() -> str:
    try:
        return version("carrel")
    except PackageNotFoundError:  # run from its folder
        return "unknown"


@dataclass(frozen=True)
class _Writer:
    """Writes the parts of one backup, sealed where there is a key."""

    draft: Path
    name: str
    key: str | None
    salt: bytes

    def put(self, part: str, chunks: Iterable[bytes]) -> Part:
        if self.key:
            chunks = seal(chunks, self.key, f"{self.name}/{part}", self.salt)
            part += ".sealed"
        digest, size = _write(self.draft / part, chunks)
        return Part(part, digest, size)


def _write(path: Path, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write chunks to a new file, readable by its owner alone, and to disk: checksum and bytes."""
    digest, size = hashlib.sha256(), 0
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _sync(folder: Path) -> None:
    """Let the names in a folder reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _snapshot() -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """A transaction and the name of its snapshot, so that the counts are those of the dump."""
    with connect() as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        row = connection.execute("select pg_export_snapshot()").fetchone()
        assert row
        yield connection, row[0]


def _counted(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The rows of each table that is dumped."""
    found: dict[str, int] = {}
    for schema, table in connection.execute(TABLES).fetchall():
        if f"{schema}.{table}" in LEFT_OUT:
            continue
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
        row = connection.execute(query).fetchone()
        assert row
        found[f"{schema}.{table}"] = int(row[0])
    return found


def _dumped(dump: str, snapshot: str) -> Iterator[bytes]:
    """What pg_dump says."""
    without = [f"--exclude-table-data={table}" for table in LEFT_OUT]
    arguments = ["--format=custom", "--no-owner", f"--snapshot={snapshot}", *without]
    with start(
        dump, settings().url(), *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield from in_chunks(cast(IO[bytes], process.stdout))
            said = cast(IO[bytes], process.stderr).read().decode(errors="replace").strip()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise CarrelError(f"pg_dump failed: {said or process.returncode}")


def backup_key() -> str | None:
    """The key that backups are sealed with; None where they are not."""
    secret = settings().backup_key
    return secret.get_secret_value() if secret else None


def in_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """What is left of a stream, in chunks of at most 1 MiB."""
    while chunk := stream.read(CHUNK):
        yield chunk


def _tarred(folder: Path, without: Path) -> Iterator[bytes]:
    """A folder as a tar stream of plain files and folders; empty where there is none.

    Backups that lie below the folder, and links, are left out.
    """
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        plain = path.is_dir() or path.is_file()
        if plain and not path.is_symlink() and not path.resolve().is_relative_to(without):
            yield from _member(path, str(path.relative_to(folder)))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(path: Path, name: str) -> Iterator[bytes]:
    """One file or folder of a tar stream: header, then the bytes as they are read."""
    info = tarfile.TarInfo(name)
    if path.is_dir():
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        yield info.tobuf(tarfile.PAX_FORMAT)
        return
    try:
        file = path.open("rb")
    except FileNotFoundError:  # a draft that was renamed meanwhile
        return
    with file:
        facts = os.fstat(file.fileno())
        info.size, info.mtime, info.mode = facts.st_size, int(facts.st_mtime), facts.st_mode & 0o777
        yield info.tobuf(tarfile.PAX_FORMAT)
        left = info.size
        while left and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
    if left:
        raise CarrelError(f"{path}: became shorter while it was read.", remedy="Run it again.")
    yield bytes(-info.size % tarfile.BLOCKSIZE)


def _settings(*, with_secrets: bool) -> bytes:
    """The settings that a restore may want; keys and passwords only where they are sealed."""
    path = settings().home / "settings.env"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    hidden = SECRET_SETTINGS if with_secrets else _secret_names()
    kept = [line for line in lines if _name(line) not in hidden]
    facts: dict[str, Any] = {"settings.env": kept}
    if told := filed():  # it holds no secret
        facts["carrel.toml"] = told.values
    if with_secrets:
        facts["secrets.json"] = settings().secrets
    return json.dumps(facts, indent=1).encode()


def _secret_names() -> tuple[str, ...]:
    """Settings that hold passwords or keys."""
    fields = type(settings()).model_fields.items()
    return tuple(name for name, field in fields if "SecretStr" in str(field.annotation))


def _name(line: str) -> str:
    """The setting that a line of settings.env sets."""
    name = line.partition("=")[0].strip().removeprefix("export ").strip()
    return name.upper().removeprefix("CARREL_").lower()
