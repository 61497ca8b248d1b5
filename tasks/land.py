"""Copy what arrived, unchanged, into bronze: a row a line, a partition a load."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from tasks.blocks import blocks
from tasks.extract import Arrival
from tasks.ledger import Load, begin, closing, only_run
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.spec import Dataset

__all__ = ["Load", "begin", "land", "only_run"]

DELIMITER = b"\x1f"
# The table is made in the transaction that fills it, so that PostgreSQL need not log the rows.
CREATE = """
create temp sequence {sequence} cache 1000;
create table {table} (
    load_id bigint not null default {load} constraint {check} check (load_id = {load}),
    line_no bigint not null default nextval({name}),
    line text not null
);
"""
COPY = "copy {table} (line) from stdin (format text, freeze, delimiter E'\\x1f')"
ATTACH = """
alter table {table} alter line_no drop default, alter load_id drop default;
drop sequence {sequence};
alter table {parent} attach partition {table} for values in ({load});
alter table {table} drop constraint {check};
"""
NOTE = """
update ops.loads set state = 'landed', landed_at = clock_timestamp(),
    lines = coalesce(%s, (select lines from ops.loads where load_id = %s))
where load_id = %s and state = 'landing' returning lines
"""


def land(dataset: Dataset, arrival: Arrival, load: Load) -> int:
    """Land the file's lines in one transaction; return how many there are.

    Content that an earlier load landed stays as it is.

    Raises:
        SourceUnavailable: the file went away.
        LoadFailed: the load was closed meanwhile, because cleaning failed beside it.
    """
    with closing(load), connect() as connection:
        lines = None if load.landed else _copy(connection, arrival, load)
        row = connection.execute(NOTE, [lines, load.bronze, load.load_id]).fetchone()
        if row is None:
            raise LoadFailed(f"load {load.load_id} was closed while it landed.")
    return int(row[0])


def _copy(connection: psycopg.Connection[Any], arrival: Arrival, load: Load) -> int:
    """Fill a new partition; return its lines."""
    names = _names(load)
    connection.execute(sql.SQL(CREATE).format(**names))
    cursor = connection.cursor()
    with cursor.copy(sql.SQL(COPY).format(**names)) as copy:
        for block in blocks(arrival):
            copy.write(escaped(block.text))
    connection.execute(sql.SQL(ATTACH).format(**names))
    return cursor.rowcount


def _names(load: Load) -> dict[str, sql.Composable]:
    sequence = f"lines_{load.load_id}"
    return {
        "sequence": sql.Identifier("pg_temp", sequence),
        "name": sql.Literal(f"pg_temp.{sequence}"),
        "table": sql.Identifier("bronze", load.partition),
        "parent": sql.Identifier("bronze", load.dataset),
        "check": sql.Identifier("one_load"),
        "load": sql.Literal(load.load_id),
    }


def escaped(text: bytes) -> bytes:
    """Lines as COPY's text format wants them."""
    for byte, written in ((b"\\", b"\\\\"), (b"\r", b"\\r"), (DELIMITER, b"\\" + DELIMITER)):
        if byte in text:
            text = text.replace(byte, written)
    return text
