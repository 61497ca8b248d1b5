"""The clean sample library straight into silver, for benchmarks of what comes after."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from psycopg import sql

from deployments.sample.dirt import Table, as_lines
from deployments.sample.files import tables
from deployments.sample.world import Plan
from tests.fix_warehouse import as_admin, drop_database, forget
from warehouse.database import connect
from warehouse.migrate import migrate
from warehouse.pseudonyms import pseudonym
from warehouse.settings import settings
from warehouse.spec import Column, Dataset, dataset

LINES = 250_000  # a COPY message


@contextmanager
def bench_database(name: str) -> Iterator[None]:
    """A migrated database of its own on the server that the settings name; dropped afterwards."""
    home = settings().url()
    as_admin("drop database if exists {} with (force)", name)
    as_admin("create database {}", name)
    before = os.environ.get("CARREL_DATABASE_URL")
    url = home.set(database=name, drivername="postgresql")
    os.environ["CARREL_DATABASE_URL"] = url.render_as_string(hide_password=False)
    forget()
    try:
        migrate()
        yield
    finally:
        os.environ.pop("CARREL_DATABASE_URL")
        if before:
            os.environ["CARREL_DATABASE_URL"] = before
        forget()
        drop_database(name)


def fill(plan: Plan) -> dict[str, int]:
    """Copy every table of the plan's sample into silver; return the rows of each."""
    made, rows = tables(plan), Counter[str]()
    for name in made.names:
        target = dataset(f"library_{name}")
        for _, part in made.parts(name):
            rows[name] += _copy(target, part)
        _run(sql.SQL("analyze silver.{}").format(sql.Identifier(target.table)))
    return dict(rows)


def _run(statement: sql.Composed) -> None:
    with connect() as connection:
        connection.execute(statement)


def _copy(target: Dataset, table: Table) -> int:
    """Copy some rows of one table."""
    columns = {c.name: _text(c, table[c.header]) for c in target.stored if isinstance(c, Column)
               and c.header in table}  # fmt: skip
    count = len(next(iter(columns.values())))
    if target.name == "items":
        columns["dewey_class"] = _classes(columns["dewey"])
    names = sql.SQL(", ").join(map(sql.Identifier, ["source_code", "_load_id", *columns]))
    statement = sql.SQL("copy silver.{} ({}) from stdin (format csv)").format(
        sql.Identifier(target.table), names
    )
    fixed = {"source_code": "sample", "_load_id": "1"}
    with connect() as connection, connection.cursor().copy(statement) as copy:
        for start in range(0, count, LINES):
            part = {n: c.slice(start, LINES) for n, c in columns.items()}
            size = len(next(iter(part.values())))
            both = {n: pa.repeat(v, size) for n, v in fixed.items()} | part
            copy.write(b"".join(as_lines(both).to_pylist()))
    return count


def _text(column: Column, values: pa.Array) -> pa.Array:
    """The values as silver holds them: pseudonyms for people."""
    if column.privacy != "pseudonym":
        return values
    coded = values.dictionary_encode()
    people = pa.array([pseudonym(person) for person in coded.dictionary.to_pylist()], pa.string())
    return people.take(coded.indices)


def _classes(dewey: pa.Array) -> pa.Array:
    """Dewey classes in hundreds."""
    return pa.array([f"{d[0]}00" if d else None for d in dewey.to_pylist()], pa.string())
