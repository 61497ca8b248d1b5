"""Make silver and quarantine anew from bronze alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tasks.clean import clean
from tasks.held import from_bronze
from tasks.ledger import Load, drop_staging, drop_table, only_run
from tasks.merge import merge_into, quarantine
from tasks.settle import Settling
from tasks.swap import swap_in
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.spec import Dataset

LOADS = """
select l.load_id, l.file_id, f.path, f.sha256, f.bytes, (
    select min(b.load_id) from ops.loads b
    where b.file_id = l.file_id and b.landed_at is not null
      and to_regclass(format('bronze.%%I', b.dataset || '_l' || b.load_id)) is not null)
from ops.loads l join ops.files f using (file_id)
where l.dataset = %(dataset)s and l.state = 'done' order by l.load_id
"""


def rebuild(dataset: Dataset) -> int:
    """Clean and merge every load again, in order, then swap the result in; return its rows.

    Raises:
        LoadFailed: a load's lines are no longer in bronze; nothing has changed.
    """
    with only_run(dataset):
        loads = _loads(dataset)
        anew = f"{dataset.table}_anew"
        target = sql.Identifier("staging", anew)
        silver = sql.Identifier("silver", dataset.table)
        with connect() as connection:
            drop_table(connection, anew)
            connection.execute(sql.SQL("create table {} (like {})").format(target, silver))
        rows = [_again(dataset, load, size, digest, target) for load, size, digest in loads]
        with connect() as connection:
            _take_over(connection, dataset, [load for load, *_ in loads], anew)
    return rows[-1] if rows else 0


def _loads(dataset: Dataset) -> list[tuple[Load, int, str]]:
    """The loads that made silver, with the size and checksum of their files."""
    with connect() as connection:
        found = connection.execute(LOADS, {"dataset": dataset.table}).fetchall()
    loads = []
    for load_id, file_id, path, digest, size, bronze in found:
        if bronze is None:
            raise LoadFailed(
                f"{dataset.table}: the lines of {path} (load {load_id}) are not in bronze.",
                remedy="Ingest the files again instead.",
            )
        load = Load(
            load_id, file_id, dataset.table, Path(path), None, True, "landing", bronze, True
        )
        loads.append((load, size, digest))
    return loads


def _again(dataset: Dataset, load: Load, size: int, digest: str, target: sql.Identifier) -> int:
    arrival = from_bronze(dataset, load.bronze, load.path, digest, size)
    cleaned = clean(dataset, arrival, load, target)
    with connect() as connection:
        loaded = merge_into(connection, dataset, load, cleaned, target)
        for name in (load.staging, f"{load.staging}_c"):
            drop_table(connection, name)
    return loaded.rows_after


def _take_over(
    connection: psycopg.Connection[Any], dataset: Dataset, loads: list[Load], anew: str
) -> None:
    """Put the new table and findings in place of the old, in one transaction."""
    with connection.cursor() as cursor:
        Settling(cursor, dataset, anew, sql.Identifier("silver", dataset.table)).index()
    swap_in(connection, dataset, anew)
    connection.execute(sql.SQL("truncate {}").format(sql.Identifier("quarantine", dataset.table)))
    for load in loads:
        quarantine(connection, load)
        drop_staging(connection, load.staging)
