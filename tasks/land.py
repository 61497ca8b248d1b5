"""Copy what arrived, unchanged, into bronze: pages of lines, a partition a load.

A page fits one of PostgreSQL's: a row a line would cost four times the time and half more space.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from tasks.blocks import Block, blocks
from tasks.extract import Arrival
from tasks.ledger import Load, begin, closing, only_run
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.spec import Dataset

__all__ = ["Load", "begin", "land", "only_run"]

PAGES = 256  # parts of rows sent together
PAGE = 7_900  # bytes; what a page of PostgreSQL holds beside its own and the row's header
# The table is made in the transaction that fills it, so that PostgreSQL need not log the rows.
CREATE = """
create table {table} (
    load_id bigint not null default {load} constraint {check} check (load_id = {load}),
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) with (toast_tuple_target = 8160);
alter table {table} alter lines set storage external;
"""
COPY = "copy {table} (first_line, last_line, lines) from stdin (format binary, freeze)"
HEADER, ROW, END = b"PGCOPY\n\xff\r\n" + bytes(9), struct.Struct(">hiqiqi"), b"\xff\xff"
ATTACH = """
alter table {table} alter load_id drop default;
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
    names = {
        "table": sql.Identifier("bronze", load.partition),
        "parent": sql.Identifier("bronze", f"{load.dataset}_pages"),
        "check": sql.Identifier("one_load"),
        "load": sql.Literal(load.load_id),
    }
    connection.execute(sql.SQL(CREATE).format(**names))
    last = 0
    with connection.cursor().copy(sql.SQL(COPY).format(**names)) as copy:
        copy.write(HEADER)
        for block in blocks(arrival):
            for rows, last in paged(block):  # noqa: B007 - used after the loop
                copy.write(rows)
        copy.write(END)
    connection.execute(sql.SQL(ATTACH).format(**names))
    return last


def paged(block: Block) -> Iterator[tuple[bytes, int]]:
    """The block's lines in pages, as rows of COPY's binary format, and their last line's number.

    Each page ends with a line feed; one longer than `PAGE` has one line.
    """
    text = block.text if block.text.endswith(b"\n") else block.text + b"\n"
    rows, first, at = [], block.first_line, 0
    while at < len(text):
        end = text.rfind(b"\n", at, at + PAGE) + 1 or text.index(b"\n", at) + 1
        page = text[at:end]
        last = first + page.count(b"\n") - 1
        rows += [ROW.pack(3, 8, first, 8, last, len(page)), page]
        first, at = last + 1, end
        if len(rows) >= PAGES or at == len(text):
            yield b"".join(rows), last
            rows.clear()
