"""Make silver and quarantine anew from bronze.

Of loads whose lines retention let go of, silver's rows are taken over as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from tasks.clean import clean
from tasks.held import Done, done, landed
from tasks.ledger import Load, drop_staging, drop_table, only_run
from tasks.merge import merge_into, quarantine
from tasks.retention import forget
from tasks.settle import Settling
from tasks.swap import swap_in
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.spec import Dataset

CARRY_OVER = """
delete from {target} where ({key}) in (select {key} from {silver} where _load_id = %s)
"""
CARRY = "insert into {target} select * from {silver} where _load_id = %s"


def rebuild(dataset: Dataset) -> int:
    """Clean and merge every load again, in order, then swap the result in; return its rows.

    Raises:
        LoadFailed: a load's lines are not in bronze, and not by retention; nothing has changed.
    """
    with only_run(dataset):
        loads = _loads(dataset)
        anew = f"{dataset.table}_anew"
        target = sql.Identifier("staging", anew)
        silver = sql.Identifier("silver", dataset.table)
        with connect() as connection:
            drop_table(connection, anew)
            connection.execute(sql.SQL("create table {} (like {})").format(target, silver))
        for load, one in loads:
            if load.landed:
                _again(dataset, load, one, target)
            else:
                _carry(dataset, load, target)
        with connect() as connection:
            forget(connection, dataset, "staging", anew)
            _take_over(connection, dataset, [load for load, *_ in loads if load.landed], anew)
            row = connection.execute(sql.SQL("select count(*) from {}").format(silver)).fetchone()
    return int(row[0]) if row else 0


def _loads(dataset: Dataset) -> list[tuple[Load, Done]]:
    """The loads that made silver; one whose lines retention let go of is not `landed`."""
    loads = []
    for one in done(dataset):
        if one.bronze is None and not one.let_go:
            raise LoadFailed(
                f"{dataset.table}: the lines of {one.path} (load {one.load_id}) are not in bronze.",
                remedy="Ingest the files again instead.",
            )
        load = Load(
            one.load_id,
            one.file_id,
            dataset.table,
            one.path,
            None,
            True,
            "landing",
            one.bronze or one.load_id,
            one.bronze is not None,
        )
        loads.append((load, one))
    return loads


def _again(dataset: Dataset, load: Load, one: Done, target: sql.Identifier) -> None:
    """Clean and merge one load as it was: a replay is merged, and leaves to later ones theirs."""
    arrival = landed(dataset, one)
    load = replace(load, again=arrival.again)
    cleaned = clean(dataset, arrival, load, target)
    with connect() as connection:
        merge_into(connection, dataset, load, cleaned, target)
        for name in (load.staging, f"{load.staging}_c"):
            drop_table(connection, name)


def _carry(dataset: Dataset, load: Load, target: sql.Identifier) -> None:
    """Take over the rows that the load was the last to change, in place of earlier ones."""
    key = sql.SQL(", ").join(map(sql.Identifier, dataset.key_columns))
    names = {"target": target, "silver": sql.Identifier("silver", dataset.table), "key": key}
    with connect() as connection:
        for statement in (CARRY_OVER, CARRY):
            connection.execute(sql.SQL(statement).format(**names), [load.load_id])


def _take_over(
    connection: psycopg.Connection[Any], dataset: Dataset, loads: list[Load], anew: str
) -> None:
    """Put the new table and findings in place of the old, in one transaction."""
    with connection.cursor() as cursor:
        Settling(cursor, dataset, anew, sql.Identifier("silver", dataset.table)).index()
    swap_in(connection, dataset, anew)
    connection.execute(sql.SQL("truncate {}").format(sql.Identifier("quarantine", dataset.table)))
    for load in loads:
        quarantine(connection, dataset, load)
        drop_staging(connection, load.staging)
