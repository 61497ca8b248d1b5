"""Restore a backup: verify it whole, then bring it back in one transaction.

Nothing is written before every part's checksum (and seal) has held. The database comes back by one
transaction that also counts each table's rows against the manifest: it is as it was, or restored.
"""

from __future__ import annotations

import hmac
import json
import os
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from psycopg import sql

from tasks.backup import CHUNK, FORMAT, MANIFEST, Manifest, Part, backup_key, in_chunks, key_print
from tasks.extract import sha256
from tasks.programs import program, server_major, start
from tasks.sealed import unseal
from warehouse.database import connect
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.migrate import make_logins, migrate
from warehouse.settings import settings

TIMEOUT = b"SET transaction_timeout = 0;\n"  # unknown to servers before 17
KEYS = ("pseudonym_key", "claim_key", "cookie_key", "audit_key")
SCHEMAS = """
select nspname from pg_namespace
where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
"""


@dataclass(frozen=True)
class Restored:
    """What came back, and what a person should know."""

    tables: int
    rows: int
    migrations: list[str]
    notes: list[str]


def restore(folder: Path, *, overwrite: bool = False, new_keys: bool = False) -> Restored:
    """Restore a backup into the database and the home that the settings name.

    Args:
        folder: the backup.
        overwrite: also where the database holds loads or the project folder is not empty.
        new_keys: also where this home's pseudonym key is another than the backup's.

    Raises:
        ConfigurationError: the backup is not whole or of another Carrel's make, the key is wrong,
            or something would be overwritten; nothing has been written.
        CarrelError: a part is damaged (nothing has been written), or the database refused it.
    """
    manifest = verify(folder)
    _check_target(manifest, overwrite)
    keys, notes = _keys(folder, manifest, new_keys)
    with connect(autocommit=True) as connection:
        make_logins(connection)
    _bring_database(folder, manifest)
    if keys:
        _replace_secrets(settings().secrets | keys)
    _untar(folder, manifest, "files.tar", settings().kept_files)
    _untar(folder, manifest, "project.tar", settings().project)
    applied = migrate()
    return Restored(len(manifest.tables), sum(manifest.tables.values()), applied, notes)


def verify(folder: Path) -> Manifest:
    """Check that a backup is whole and unchanged, seals included; return its manifest.

    Raises:
        ConfigurationError: it is no whole backup, or the key is missing or wrong.
        CarrelError: a part is missing, damaged or was changed.
    """
    manifest = read_manifest(folder)
    for part in manifest.parts:
        path = folder / part.name
        if not path.is_file():
            raise CarrelError(f"{path}: is missing.", remedy="Use another backup.")
        if path.stat().st_size != part.bytes or sha256(path) != part.sha256:
            raise CarrelError(
                f"{path}: differs from the manifest's checksum.", remedy="Use another backup."
            )
    if manifest.sealed:
        for part in manifest.parts:
            for _ in _plain(folder, manifest, part):
                pass
        if not hmac.compare_digest(manifest.mac, manifest.signed(backup_key() or "")):
            raise CarrelError(
                f"{folder / MANIFEST}: was changed after it was made.", remedy="Use another backup."
            )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        ConfigurationError: there is none, or it is no manifest that this Carrel reads.
    """
    path = folder / MANIFEST
    try:
        facts = json.loads(path.read_text("utf-8"))
        if facts["format"] != FORMAT:
            raise ConfigurationError(
                f"{path}: is of format {facts['format']}, which this Carrel does not know.",
                remedy="Restore with the version that made it.",
            )
        parts = tuple(Part(**part) for part in facts.pop("parts"))
        if any(Path(part.name).name != part.name for part in parts):
            raise ValueError("a part lies elsewhere")
        left_out = tuple(facts.pop("left_out"))
        return Manifest(**facts, parts=parts, left_out=left_out)
    except OSError:
        raise ConfigurationError(
            f"{folder}: is no whole backup, there is no {MANIFEST}.",
            remedy="`carrel backup --list` names those there are.",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path}: is no manifest of a backup ({error}).") from error


def _part(manifest: Manifest, name: str) -> Part:
    sealed = f"{name}.sealed" if manifest.sealed else name
    for part in manifest.parts:
        if part.name == sealed:
            return part
    raise ConfigurationError(f"{manifest.name}: its manifest names no {sealed}.")


def _plain(folder: Path, manifest: Manifest, part: Part) -> Iterator[bytes]:
    """The plain bytes of a part, in chunks of at most 1 MiB."""
    path = folder / part.name
    with path.open("rb") as stream:
        if manifest.sealed:
            label = f"{manifest.name}/{part.name.removesuffix('.sealed')}"
            yield from unseal(stream, backup_key(), label, path)
            return
        yield from in_chunks(stream)


def _check_target(manifest: Manifest, overwrite: bool) -> None:
    """Refuse what would lose something, or could not work."""
    prefix = settings().role_prefix
    if manifest.role_prefix != prefix:
        raise ConfigurationError(
            f"{manifest.name}: its roles start with {manifest.role_prefix!r}, not {prefix!r}.",
            remedy=f"Set CARREL_ROLE_PREFIX={manifest.role_prefix}.",
        )
    server = server_major()
    if server < manifest.postgres:
        raise ConfigurationError(
            f"{manifest.name}: comes from PostgreSQL {manifest.postgres}, the server is {server}.",
            remedy=f"Restore into PostgreSQL {manifest.postgres} or newer.",
        )
    if overwrite:
        return
    if loads := _loads():
        raise ConfigurationError(
            f"The database {settings().url().database!r} holds {loads} loads; they would be lost.",
            remedy="Restore into an empty one, or say --overwrite.",
        )
    project = settings().project
    if project.is_dir() and any(project.iterdir()):
        raise ConfigurationError(
            f"The project folder {project} is not empty; files of its could be overwritten.",
            remedy="Move it away, or say --overwrite.",
        )


def _loads() -> int:
    """How many loads the database knows."""
    with connect() as connection:
        there = connection.execute("select to_regclass('ops.loads')").fetchone()
        if there is None or there[0] is None:
            return 0
        row = connection.execute("select count(*) from ops.loads").fetchone()
        return int(row[0]) if row else 0


def _keys(folder: Path, manifest: Manifest, new_keys: bool) -> tuple[dict[str, str], list[str]]:
    """The keys of the backup that this home is to take, and what a person should know.

    The passwords stay this home's: its roles have them.
    """
    facts = json.loads(b"".join(_plain(folder, manifest, _part(manifest, "settings.json"))))
    notes = []
    if facts["settings.env"]:
        names = ", ".join(line.partition("=")[0] for line in facts["settings.env"])
        notes.append(f"Settings that settings.env held at the time of the backup: {names}")
    if "carrel.toml" in facts:
        names = ", ".join(facts["carrel.toml"])
        notes.append(f"Settings that carrel.toml held at the time of the backup: {names}")
    if manifest.key_print == key_print():
        return {}, notes
    if new_keys:
        return {}, [*notes, "Persons loaded from now on have other pseudonyms than those restored."]
    kept = facts.get("secrets.json", {})
    if "pseudonym_key" not in kept:
        raise ConfigurationError(
            "This home has another pseudonym key than the backup, which holds none because it is"
            " not encrypted: persons loaded from now on would be strangers to those restored.",
            remedy=f"Put the old secrets.json into {settings().home} first, or say --new-keys.",
        )
    keys = {name: kept[name] for name in KEYS if name in kept}
    return keys, [*notes, "This home has the backup's keys now; restart what runs."]


def _replace_secrets(values: dict[str, str]) -> None:
    """Write this home's secrets anew, readable by their owner alone."""
    path = settings().home / "secrets.json"
    handle, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with open(handle, "w") as file:
        file.write(json.dumps(values, indent=1))
    os.replace(draft, path)
    settings.cache_clear()


def _untar(folder: Path, manifest: Manifest, name: str, target: Path) -> None:
    """Unpack a part below `target`; a member that would land elsewhere is refused."""
    chunks = _plain(folder, manifest, _part(manifest, name))
    source = cast(IO[bytes], _Source(chunks))
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in tar:
                target.mkdir(parents=True, exist_ok=True)
                tar.extract(member, target, filter="data")
    except tarfile.TarError as error:
        raise CarrelError(f"{folder / name}: cannot be unpacked: {error}.") from error


class _Source:
    """Chunks as a file that tarfile reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._held = chunks, bytearray()

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (chunk := next(self._chunks, None)) is not None:
            self._held += chunk
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken


def _bring_database(folder: Path, manifest: Manifest) -> None:
    """Drop what is there and bring back the dump, in one transaction that proves itself."""
    server = server_major()
    reader = program("pg_restore", server, least=manifest.programs)
    shell = program("psql", server)
    chunks = _plain(folder, manifest, _part(manifest, "database.dump"))
    with tempfile.TemporaryFile() as complaints:
        arguments = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null")
        writer = start(
            shell, settings().url(), *arguments, stdin=subprocess.PIPE, stderr=complaints
        )
        try:
            _send(writer, chunks, reader, manifest, skip=TIMEOUT if server < 17 else b"")
        except BaseException as error:
            writer.kill()  # before its input ends: the transaction must not be committed
            writer.wait()
            if not isinstance(error, BrokenPipeError):
                raise
        writer.wait()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip()
    if writer.returncode:
        first = said.partition("\n")[0]
        raise CarrelError(
            f"The database refused the backup and is as it was: {first or 'psql was ended'}"
        )


def _send(
    writer: subprocess.Popen[bytes],
    chunks: Iterator[bytes],
    reader: str,
    manifest: Manifest,
    skip: bytes,
) -> None:
    """Send psql the whole script: drop, the dump as SQL, the proof, commit."""
    sink = cast(IO[bytes], writer.stdin)
    sink.write(b"set client_min_messages = warning;\nbegin;\n" + _drops())
    command = [reader, "--no-owner", "--file=-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        feed = _Feeding(cast(IO[bytes], process.stdin), chunks)
        feed.start()
        try:
            first = True
            while chunk := cast(IO[bytes], process.stdout).read(CHUNK):
                sink.write(chunk.replace(skip, b"", 1) if first and skip else chunk)
                first = False
            feed.join()
        except BaseException:
            process.kill()
            raise
    if feed.error:
        raise feed.error
    if process.returncode:
        raise CarrelError(f"pg_restore failed on {manifest.name}.", remedy="Use another backup.")
    sink.write(_proof(manifest) + b"commit;\n")
    sink.close()


class _Feeding(threading.Thread):
    """Writes chunks to a program's input beside the reading of its output."""

    def __init__(self, sink: IO[bytes], chunks: Iterator[bytes]) -> None:
        super().__init__(daemon=True)
        self._sink, self._chunks = sink, chunks
        self.error: BaseException | None = None

    def run(self) -> None:
        """Write all, then end the input."""
        try:
            for chunk in self._chunks:
                self._sink.write(chunk)
        except BrokenPipeError:
            pass  # the program ended; its exit code says why
        except Exception as error:  # told in the other thread
            self.error = error
        finally:
            with suppress(OSError):
                self._sink.close()


def _drops() -> bytes:
    """Statements that drop what the database holds now."""
    with connect() as connection:
        names = [row[0] for row in connection.execute(SCHEMAS).fetchall()]
        drop = sql.SQL("drop schema {} cascade;\n")
        return b"".join(drop.format(sql.Identifier(n)).as_bytes(connection) for n in names)


def _proof(manifest: Manifest) -> bytes:
    """Statements that fail unless each table has the manifest's rows."""
    check = sql.SQL(
        "do $proof$ begin if (select count(*) from {}) <> {} then"
        " raise exception 'the restored table % has other rows than the manifest says', {};"
        " end if; end $proof$;\n"
    )
    made = []
    with connect() as connection:
        for name, rows in manifest.tables.items():
            schema, _, table = name.partition(".")
            parts = (sql.Identifier(schema, table), sql.Literal(rows), sql.Literal(name))
            made.append(check.format(*parts).as_bytes(connection))
    return b"".join(made)
