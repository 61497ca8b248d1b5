"""Bring the database up to date: numbered house migrations, then one a dataset.

Each file is applied once, in a transaction of its own, and its checksum is kept; a file that was
changed after it was applied is refused. Logins, the claim key, row policies and the catalogue
are derived from settings and specs, and set anew each time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from warehouse import catalogue, ddl, gold, streams
from warehouse.access import ROLES, claim_pads
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.settings import LOGINS, settings
from warehouse.spec import Dataset, datasets

HOUSE = Path(__file__).parent / "migrations"
LEDGER = """
create schema if not exists ops;
create table if not exists ops.migrations (
    name text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
);
"""
OLDEST = 150000


def migrate() -> list[str]:
    """Apply what is missing; return the names of the migrations applied.

    Raises:
        ConfigurationError: the server is too old, a migration is missing or was changed after
            it was applied, or a table has drifted from its spec.
    """
    import stamina

    known = datasets()
    with connect(autocommit=True) as connection:
        _check_version(connection)
        connection.execute("select pg_advisory_lock(hashtext('carrel migrate'))")
        connection.execute(LEDGER)
        make_logins(connection)
        applied = [name for name, path in _files(known) if _apply(connection, name, path)]
        # Policies lock each table: pages that read in another order may end this in a deadlock.
        for attempt in stamina.retry_context(on=psycopg.errors.DeadlockDetected, attempts=8):
            with attempt, connection.transaction():
                _derive(connection, known)
        return applied


def _derive(connection: psycopg.Connection[Any], known: dict[str, Dataset]) -> None:
    """Set anew what settings and specs say: the claim's key, policies, grants, the catalogue."""
    _set_claim_key(connection)
    for dataset in known.values():
        _check_drift(connection, dataset)
        connection.execute(ddl.access(dataset).encode())
    streams.derive(connection)
    gold.create_missing(connection)
    catalogue.fill(connection, known)


def _check_version(connection: psycopg.Connection[Any]) -> None:
    version = connection.info.server_version
    if version < OLDEST:
        raise ConfigurationError(
            f"PostgreSQL {version // 10000} is too old.", remedy="Carrel needs 15 or newer."
        )


def _files(known: dict[str, Dataset]) -> Iterator[tuple[str, Path]]:
    """House migrations in order, then each dataset's: `name.sql`, `name.2.sql`, …"""
    for path in sorted(HOUSE.glob("*.sql")):
        yield path.name, path
    for dataset in known.values():
        yield from _dataset_files(dataset)


def _dataset_files(dataset: Dataset) -> Iterator[tuple[str, Path]]:
    folder = migration_path(dataset).parent
    first = folder / f"{dataset.name}.sql"
    if not first.exists():
        raise ConfigurationError(
            f"{dataset.table} has no migration at {first}.",
            remedy=f"Print it with `carrel datasets --migration {dataset.table}`, read, save.",
        )
    later = sorted(folder.glob(f"{dataset.name}.[0-9]*.sql"), key=_number)
    for path in (first, *later):
        yield f"{dataset.domain}/{path.name}", path


def _number(path: Path) -> int:
    return int(path.name.split(".")[-2])


def migration_path(dataset: Dataset) -> Path:
    """Where a dataset's migration stands: beside `datasets`, in `migrations/<domain>`."""
    return dataset.path.parents[2] / "migrations" / dataset.domain / f"{dataset.name}.sql"


def _apply(connection: psycopg.Connection[Any], name: str, path: Path) -> bool:
    """Apply one file unless it was applied before."""
    text = path.read_text("utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = connection.execute("select sha256 from ops.migrations where name = %s", [name]).fetchone()
    if row and row[0] != digest:
        raise ConfigurationError(
            f"{path} was changed after it was applied.", remedy="Undo that; write a new migration."
        )
    if row:
        return False
    with connection.transaction():
        connection.execute(fill_roles(text).encode())
        connection.execute(
            "insert into ops.migrations (name, sha256) values (%s, %s)", [name, digest]
        )
    return True


def fill_roles(text: str) -> str:
    """Put the login roles' names in place of `:owner`, `:app`, `:admin`, …"""
    prefix = settings().role_prefix
    text = text.replace(":'role_prefix'", ddl.literal(prefix))
    return re.sub(rf"(?<![:\w]):({'|'.join(LOGINS)})\b", rf'"{prefix}_\1"', text)


def make_logins(connection: psycopg.Connection[Any]) -> None:
    """Make the login roles and set their passwords, sent as SCRAM verifiers."""
    for name in ("app", *ROLES):
        login = settings().login(name)
        exists = connection.execute("select 1 from pg_roles where rolname = %s", [login]).fetchone()
        verifier = connection.pgconn.encrypt_password(
            settings().secrets[name].encode(), login.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(
            sql.SQL("{} role {} login noinherit password {}").format(
                sql.SQL("alter" if exists else "create"),
                sql.Identifier(login),
                sql.Literal(verifier),
            )
        )


def _set_claim_key(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "insert into private.claim_key values (1, %s, %s)"
        " on conflict (key_id) do update set ipad = excluded.ipad, opad = excluded.opad",
        claim_pads(),
    )


def _check_drift(connection: psycopg.Connection[Any], dataset: Dataset) -> None:
    """Compare silver with the spec."""
    rows = connection.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'silver' and table_name = %s order by ordinal_position",
        [dataset.table],
    ).fetchall()
    there, wanted = dict(rows), ddl.silver_columns(dataset)
    if there == wanted:
        return
    faults = [
        f"{name} is {there.get(name, 'missing')}, should be {wanted.get(name, 'missing')}"
        for name in {**there, **wanted}
        if there.get(name) != wanted.get(name)
    ]
    raise ConfigurationError(
        f"silver.{dataset.table} differs from {dataset.path}: {'; '.join(faults)}.",
        remedy=f"Write the change as {dataset.name}.2.sql beside {migration_path(dataset)}.",
    )
