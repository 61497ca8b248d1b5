"""Trim, type, check and pseudonymise a file's rows set-wise; put good and bad ones in staging.

Good rows go to `staging.<table>_<load>`, findings to `staging.<table>_<load>_q`. The SQL comes
from the spec (`expressions`), DuckDB runs it a block at a time, and PostgreSQL receives the result
through COPY. No row passes through Python.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from tasks.ahead import ahead
from tasks.arrays import mask, numbers, texts, values
from tasks.bulk import Bulk, Refused
from tasks.expressions import (
    MACROS,
    TRIM,
    bad_rows,
    cell,
    good_rows,
    pseudonyms,
    stand_in,
    unpivoted,
)
from tasks.extract import Arrival, places
from tasks.firsts import Firsts
from tasks.known import Known
from tasks.ledger import Load, closing, drop_staging
from tasks.records import Batch, Finding, Numbers, batches
from tasks.settle import MOST_DAYS, Settling
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.pseudonyms import pads
from warehouse.settings import settings
from warehouse.spec import Column, Dataset

MOST_SUSPECTS = 50_000
MOST_CELLS = 500_000


@dataclass(frozen=True)
class Block:
    """Rows of text cells with a row number `r` from 0, and where each stands in the file."""

    cells: pa.Table
    record_no: Numbers
    line_no: Numbers


@dataclass
class Cleaned:
    """Where the rows are and how many: records = rows + quarantined + ignored.

    `fresh`: silver was empty, and staging holds all rows; else it holds what differs from silver.
    `changed_days` are the event days that the load touches, None when unknown or too many.
    """

    staging: str
    records: int = 0
    rows: int = 0
    quarantined: int = 0
    ignored: int = 0
    fresh: bool = False
    changed_days: list[dt.date] | None = None


def clean(
    dataset: Dataset, arrival: Arrival, load: Load, target: sql.Identifier | None = None
) -> Cleaned:
    """Clean one file into staging, and find what differs from silver (or from `target`).

    Raises:
        SourceMalformed, SourceUnavailable: the load is closed as failed.
        LoadFailed: the database refused a statement.
    """
    with closing(load), connect() as connection:
        _create_side(connection, load)
        cleaning = Cleaning(dataset, arrival, load, connection)
        try:
            _ingest(cleaning, dataset, load, target or sql.Identifier("silver", dataset.table))
        except Refused as error:
            reason = str(error).partition("\n")[0]  # what follows may hold a row
            raise LoadFailed(f"{dataset.table}: refused: {reason}") from error
    return cleaning.counts


def _create_side(connection: psycopg.Connection[Any], load: Load) -> None:
    """Make the tables for findings and for rows whose key may be a second one."""
    drop_staging(connection, load.staging)
    names = {
        "q": sql.Identifier("staging", f"{load.staging}_q"),
        "m": sql.Identifier("staging", f"{load.staging}_m"),
        "quarantine": sql.Identifier("quarantine", load.dataset),
        "silver": sql.Identifier("silver", load.dataset),
        "load": sql.Literal(load.load_id),
    }
    connection.execute(
        sql.SQL(
            "create table {q} (like {quarantine} including defaults);"
            "create table {m} (record_no bigint, line_no bigint, like {silver});"
            "alter table {m} alter _load_id set default {load}"
        ).format(**names)
    )
    connection.commit()


def _ingest(cleaning: Cleaning, dataset: Dataset, load: Load, target: sql.Identifier) -> None:
    """COPY the good rows into a table made in the same transaction, so that it is not logged."""
    with Bulk() as bulk:
        table = f'staging."{load.staging}"'
        bulk.execute(f'create table {table} (like silver."{load.dataset}")')
        bulk.execute(f"alter table {table} alter _load_id set default {load.load_id}")
        bulk.copy("staging", load.staging, ahead(cleaning.rows()))
        _settle(Settling(bulk, dataset, load.staging, target), cleaning, dataset, load)
        bulk.commit()


def _settle(settling: Settling, cleaning: Cleaning, dataset: Dataset, load: Load) -> None:
    """Finish the staging table, and the counts."""
    counts = cleaning.counts
    counts.fresh = settling.silver_is_empty()
    if counts.fresh:
        settling.index()
    kept, second = settling.decide(counts.fresh, load.load_id, load.file_id)
    counts.rows += kept
    if dataset.duplicates == "ignore":
        counts.ignored += second
    else:
        counts.quarantined += second
    if counts.fresh:
        settling.finish()
        counts.changed_days = cleaning.days()
    else:
        counts.changed_days = settling.find_changes()


class Cleaning:
    """The cleaning of one file: blocks of cells in, tables of good rows out, findings aside."""

    def __init__(
        self,
        dataset: Dataset,
        arrival: Arrival,
        load: Load,
        connection: psycopg.Connection[Any],
    ) -> None:
        """Prepare DuckDB; `connection` receives findings and undecided rows."""
        self.counts = Cleaned(load.staging)
        self._dataset, self._arrival, self._load = dataset, arrival, load
        self._connection = connection
        self._places = places(dataset, arrival)
        self._firsts = Firsts(arrival.bytes // 30)
        _keep_memory()
        self._duck = _duck()
        self._careful: bool | None = None
        self._suspects: list[Block] = []
        self._good = good_rows(dataset, self._places)
        self._persons = [c for c in dataset.columns if c.privacy == "pseudonym"]
        self._known = {c.name: Known() for c in self._persons}
        self._days: set[dt.date] = set()
        self._aside: list[pa.Table] = []
        self._bad = bad_rows(dataset, self._places)
        if self._places.wide:
            self._unpivoted = unpivoted(dataset, self._places, arrival.dialect.header)
        self._private = any(c.privacy for c in dataset.columns)

    def rows(self) -> Iterator[pa.Table]:
        """Tables of rows that are good and certainly the first of their key."""
        for batch in batches(self._arrival, self._dataset.source, self._places.used):
            self._trim(batch.careful)
            counts = self.counts
            counts.records += batch.blank + len(batch.findings)
            counts.ignored += batch.blank
            self._note(batch.findings)
            for block in self._blocks(batch):
                yield self._clean(block)
        self._find()
        self._flush_aside()
        self._connection.commit()

    def _trim(self, careful: bool) -> None:
        """Choose how cells are trimmed; most blocks need no great care."""
        if careful is not self._careful:
            self._duck.execute(TRIM[careful])
            self._careful = careful

    def _blocks(self, batch: Batch) -> Iterator[Block]:
        """The batch's cells with row numbers; wide columns turned into rows, some at a time."""
        wide = len(self._places.wide)
        step = max(1, MOST_CELLS // wide) if wide else max(1, batch.cells.num_rows)
        for start in range(0, batch.cells.num_rows, step):
            cells = batch.cells.slice(start, step)
            cells = cells.append_column("r", numbers(np.arange(cells.num_rows)))
            block = Block(
                cells,
                batch.record_no[start : start + step],
                batch.line_no[start : start + step],
            )
            yield self._narrow(block) if wide else block

    def _narrow(self, block: Block) -> Block:
        """A row for each wide cell; blank cells are ignored where the spec says so."""
        wide = len(self._places.wide)
        self._duck.register("block", block.cells)
        cells = self._duck.sql(self._unpivoted).to_arrow_table()
        row, cell = values(cells["r"], np.int64), values(cells["cell"], np.int64)
        skipped = block.cells.num_rows * wide - cells.num_rows
        self.counts.records += skipped
        self.counts.ignored += skipped
        record_no = (block.record_no[row] - 1) * wide + cell + 1
        cells = cells.drop_columns(["r", "cell"])
        cells = cells.append_column("r", numbers(np.arange(cells.num_rows)))
        return Block(cells, record_no, block.line_no[row])

    def _clean(self, block: Block) -> pa.Table:
        self.counts.records += block.cells.num_rows
        block = replace(block, cells=self._without_persons(block.cells))
        self._duck.register("block", block.cells)
        good = self._duck.sql(self._good).to_arrow_table()
        at = values(good["r"], np.int64)
        if len(at) and not (np.diff(at) > 0).all():
            good = good.sort_by("r")
            at = values(good["r"], np.int64)
        bad = np.ones(block.cells.num_rows, np.bool_)
        bad[at] = False
        if bad.any():
            self._suspect(block, bad)
        return self._firsts_of(good, block.record_no[at], block.line_no[at])

    def _firsts_of(self, good: pa.Table, record_no: Numbers, line_no: Numbers) -> pa.Table:
        """The rows certainly first of their key; the others are set aside."""
        self._note_days(good)
        first = self._firsts(values(good["h"], np.uint64))
        rows = good.drop_columns(["r", "h"])
        if not first.all():
            aside = ~first
            self._set_aside(rows.filter(mask(aside)), record_no[aside], line_no[aside])
            rows = rows.filter(mask(first))
        self.counts.rows += rows.num_rows
        return rows

    def _without_persons(self, cells: pa.Table) -> pa.Table:
        """The cells with pseudonyms beside them; each person is hashed once, not each row."""
        for column in self._persons:
            place = cell(column, self._places)
            if place not in cells.column_names:
                stands = pa.nulls(cells.num_rows, pa.string())
            else:
                persons = cells[place].combine_chunks()
                stands = self._known[column.name].of(persons, self._pseudonyms(column))
            cells = cells.append_column(stand_in(column), stands)
        return cells

    def _pseudonyms(self, column: Column) -> Callable[[pa.Array], pa.Array]:
        """What makes pseudonyms of a column's cells."""
        query = pseudonyms(column, self._places)

        def made(persons: pa.Array) -> pa.Array:
            order = numbers(np.arange(len(persons)))
            self._duck.register("persons", pa.table([persons, order], ["person", "i"]))
            return self._duck.sql(query).to_arrow_table()["stands"].combine_chunks()

        return made

    def _suspect(self, block: Block, bad: npt.NDArray[np.bool_]) -> None:
        """Gather bad rows: why they are bad is asked for many at a time."""
        cells = block.cells.filter(mask(bad)).drop_columns(["r"])
        self._suspects.append(Block(cells, block.record_no[bad], block.line_no[bad]))
        if sum(len(b.record_no) for b in self._suspects) > MOST_SUSPECTS:
            self._find()

    def _find(self) -> None:
        """Write why the gathered rows are bad."""
        if not self._suspects:
            return
        cells = pa.concat_tables([b.cells for b in self._suspects])
        record_no, line_no = (
            np.concatenate([getattr(b, name) for b in self._suspects])
            for name in ("record_no", "line_no")
        )
        self._suspects.clear()
        self._duck.register("suspects", cells.append_column("r", numbers(np.arange(len(cells)))))
        found = self._duck.sql(self._bad).to_arrow_table()
        at = values(found["r"], np.int64)
        blank = found["blank"]
        ignored = pc.sum(blank).as_py() or 0
        self.counts.ignored += ignored
        self.counts.quarantined += len(cells) - ignored
        table = found.drop_columns(["r", "blank"])
        table = table.append_column("record_no", numbers(record_no[at]))
        table = table.append_column("line_no", numbers(line_no[at]))
        self._copy("_q", table.filter(pc.invert(blank)))

    def _note(self, findings: list[Finding]) -> None:
        """Write the findings on records that could not be cut into cells."""
        if findings:
            wide = len(self._places.wide) or 1
            self.counts.quarantined += len(findings)
            count = len(findings)
            numbered = np.array([(f.record_no - 1) * wide + 1 for f in findings])
            shown = texts([f.value[:500] for f in findings])
            columns = {
                "record_no": numbers(numbered),
                "line_no": numbers(np.array([f.line_no for f in findings])),
                "rule": texts([f.rule for f in findings]),
                "value": pa.nulls(count, pa.string()) if self._private else shown,
            }
            table = pa.table(list(columns.values()), list(columns))
            self._copy("_q", table)

    def _set_aside(self, rows: pa.Table, record_no: Numbers, line_no: Numbers) -> None:
        """Keep rows that may be second of their key until the end."""
        table = rows.add_column(0, "record_no", numbers(record_no))
        self._aside.append(table.add_column(1, "line_no", numbers(line_no)))
        if sum(t.num_rows for t in self._aside) > MOST_SUSPECTS:
            self._flush_aside()

    def _flush_aside(self) -> None:
        if self._aside:
            self._copy("_m", pa.concat_tables(self._aside))
            self._aside.clear()

    def days(self) -> list[dt.date] | None:
        """The event days of the rows, None when there are too many or no event."""
        if self._dataset.event is None or len(self._days) > MOST_DAYS:
            return None
        return sorted(self._days)

    def _note_days(self, good: pa.Table) -> None:
        if self._dataset.event and len(self._days) <= MOST_DAYS:
            days = pc.unique(good[self._dataset.event].cast(pa.date32()))
            self._days.update(day for day in days.to_pylist() if day is not None)

    def _copy(self, suffix: str, table: pa.Table) -> None:
        """COPY a small table to a side table."""
        if suffix == "_q":
            for name, value in (("load_id", self._load.load_id), ("file_id", self._load.file_id)):
                table = table.append_column(name, numbers(np.full(table.num_rows, value)))
        names = table.column_names
        self._duck.register("side", table)
        listed = " || chr(9) || ".join(f'written("{n}")' for n in names)
        query = f"select string_agg({listed}, chr(10)) from side"  # noqa: S608 - our own names
        (text,) = self._duck.execute(query).fetchall()[0]
        target = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier("staging", self._load.staging + suffix),
            sql.SQL(", ").join(map(sql.Identifier, names)),
        )
        if text is not None:
            with self._connection.cursor().copy(target) as copy:
                copy.write(text + "\n")


def _keep_memory() -> None:
    """Let Arrow keep freed memory for the next block: jemalloc, where it is built in."""
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def _duck() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads and writes no file and fetches nothing."""
    duck = duckdb.connect(
        config={
            "memory_limit": f"{settings().load_memory_mb}MB",
            "threads": 2,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_access": False,
        }
    )
    duck.execute("set timezone = 'UTC'")
    duck.execute(TRIM[True])
    duck.execute(MACROS)
    inner, outer = pads()
    duck.execute("set variable inner_pad = ?::blob", [inner])
    duck.execute("set variable outer_pad = ?::blob", [outer])
    return duck
