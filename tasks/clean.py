"""Trim, type, check and pseudonymise a file's rows set-wise; put good and bad ones in staging.

Good rows go to `staging.<table>_<load>`, findings to `staging.<table>_<load>_q`. The SQL comes
from the spec (`expressions`), DuckDB runs it a block at a time, and PostgreSQL receives the result
through COPY. No row passes through Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from psycopg import sql

from tasks.ahead import ahead
from tasks.expressions import MACROS, TRIM, bad_rows, good_rows, new_pseudonyms, unpivoted
from tasks.extract import Arrival, places
from tasks.firsts import Firsts
from tasks.ledger import Load, closing, drop_staging
from tasks.records import Batch, Finding, Numbers, batches
from warehouse.database import connect
from warehouse.pseudonyms import pads
from warehouse.settings import settings
from warehouse.spec import Dataset

MOST_PERSONS = 1_000_000
MOST_CELLS = 500_000


@dataclass(frozen=True)
class Block:
    """Rows of text cells with a row number `r` from 0, and where each stands in the file."""

    cells: pa.Table
    record_no: Numbers
    line_no: Numbers


@dataclass
class Cleaned:
    """Where the rows are and how many: records = rows + quarantined + ignored."""

    staging: str
    records: int = 0
    rows: int = 0
    quarantined: int = 0
    ignored: int = 0


def clean(dataset: Dataset, arrival: Arrival, load: Load) -> Cleaned:
    """Clean one file into staging.

    Raises:
        SourceMalformed, SourceUnavailable: the load is closed as failed.
    """
    with closing(load):
        with connect() as connection:
            _create_side(connection, load)
            cleaning = Cleaning(dataset, arrival, load, connection)
            _ingest(load, cleaning)
        with connect() as connection:
            decide(connection, dataset, load, cleaning.counts)
    return cleaning.counts


def _create_side(connection: psycopg.Connection[Any], load: Load) -> None:
    """Make the tables for findings and for rows whose key may be a second one."""
    drop_staging(connection, load.staging)
    names = {
        "q": sql.Identifier("staging", f"{load.staging}_q"),
        "m": sql.Identifier("staging", f"{load.staging}_m"),
        "quarantine": sql.Identifier("quarantine", load.dataset),
        "silver": sql.Identifier("silver", load.dataset),
    }
    connection.execute(
        sql.SQL(
            "create table {q} (like {quarantine} including defaults);"
            "create table {m} (record_no bigint, line_no bigint, like {silver})"
        ).format(**names)
    )
    connection.commit()


def _ingest(load: Load, cleaning: Cleaning) -> None:
    """COPY the good rows into a table made in the same transaction, so that it is not logged."""
    url = settings().url().set(drivername="postgresql").render_as_string(hide_password=False)
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        table, like = f'staging."{load.staging}"', f'silver."{load.dataset}"'
        cursor.execute(f"create table {table} (like {like})")
        batches = ahead(cleaning.rows())
        first = next(batches, None)
        if first is not None:
            reader = pa.RecordBatchReader.from_batches(first.schema, _batches(first, batches))
            cursor.adbc_ingest(load.staging, reader, mode="append", db_schema_name="staging")
        connection.commit()


def _batches(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    yield from first.to_batches()
    for table in rest:
        yield from table.to_batches()


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
        self._duck = _duck()
        self._careful: bool | None = None
        self._good = good_rows(dataset, self._places, load.load_id)
        self._persons = new_pseudonyms(dataset, self._places)
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
            cells = cells.append_column("r", pa.array(np.arange(cells.num_rows)))
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
        row, cell = cells["r"].to_numpy(), cells["cell"].to_numpy()
        skipped = block.cells.num_rows * wide - cells.num_rows
        self.counts.records += skipped
        self.counts.ignored += skipped
        numbers = (block.record_no[row] - 1) * wide + cell + 1
        cells = cells.drop_columns(["r", "cell"])
        cells = cells.append_column("r", pa.array(np.arange(cells.num_rows)))
        return Block(cells, numbers, block.line_no[row])

    def _clean(self, block: Block) -> pa.Table:
        self.counts.records += block.cells.num_rows
        self._duck.register("block", block.cells)
        self._name_persons()
        good = self._duck.sql(self._good).to_arrow_table()
        at = good["r"].to_numpy()
        if len(at) and not (np.diff(at) > 0).all():
            good = good.sort_by("r")
            at = good["r"].to_numpy()
        bad = np.ones(block.cells.num_rows, np.bool_)
        bad[at] = False
        if bad.any():
            self._find(block, bad)
        return self._firsts_of(good, block.record_no[at], block.line_no[at])

    def _firsts_of(self, good: pa.Table, record_no: Numbers, line_no: Numbers) -> pa.Table:
        """The rows certainly first of their key; the others are set aside."""
        first = self._firsts(good["h"].to_numpy())
        rows = good.drop_columns(["r", "h"])
        if not first.all():
            aside = ~first
            self._set_aside(rows.filter(pa.array(aside)), record_no[aside], line_no[aside])
            rows = rows.filter(pa.array(first))
        self.counts.rows += rows.num_rows
        return rows

    def _name_persons(self) -> None:
        """Make the pseudonyms of the block; forget all where they grow too many."""
        for statement in self._persons:
            self._duck.execute(statement)
            held = self._duck.execute("select count(*) from pseudonyms").fetchall()[0][0]
            if held > MOST_PERSONS:
                self._duck.execute("delete from pseudonyms")
                self._duck.execute(statement)

    def _find(self, block: Block, bad: npt.NDArray[np.bool_]) -> None:
        """Write why rows are bad."""
        suspects = block.cells.filter(pa.array(bad))
        self._duck.register("suspects", suspects)
        found = self._duck.sql(self._bad).to_arrow_table()
        at = found["r"].to_numpy()
        blank = np.asarray(found["rule"].to_pandas() == "blank")
        self.counts.ignored += int(blank.sum())
        self.counts.quarantined += suspects.num_rows - int(blank.sum())
        table = found.drop_columns(["r"])
        table = table.append_column("record_no", pa.array(block.record_no[at]))
        table = table.append_column("line_no", pa.array(block.line_no[at]))
        self._copy("_q", table.filter(pa.array(~blank)))

    def _note(self, findings: list[Finding]) -> None:
        """Write the findings on records that could not be cut into cells."""
        if findings:
            wide = len(self._places.wide) or 1
            self.counts.quarantined += len(findings)
            shown = [None if self._private else f.value[:500] for f in findings]
            table = pa.table(
                {
                    "record_no": [(f.record_no - 1) * wide + 1 for f in findings],
                    "line_no": [f.line_no for f in findings],
                    "rule": [f.rule for f in findings],
                    "value": pa.array(shown, pa.string()),
                }
            )
            self._copy("_q", table)

    def _set_aside(self, rows: pa.Table, record_no: Numbers, line_no: Numbers) -> None:
        """Keep rows that may be second of their key until the end."""
        table = rows.add_column(0, "record_no", pa.array(record_no))
        self._copy("_m", table.add_column(1, "line_no", pa.array(line_no)))

    def _copy(self, suffix: str, table: pa.Table) -> None:
        """COPY a small table to a side table."""
        if suffix == "_q":
            for name, value in (("load_id", self._load.load_id), ("file_id", self._load.file_id)):
                table = table.append_column(name, pa.array(np.full(table.num_rows, value)))
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


def decide(
    connection: psycopg.Connection[Any], dataset: Dataset, load: Load, counts: Cleaned
) -> None:
    """Decide the rows set aside, exactly: the first of each key is kept."""
    side = sql.Identifier("staging", f"{load.staging}_m")
    row = connection.execute(sql.SQL("select count(*) from {}").format(side)).fetchone()
    if not row or not row[0]:
        connection.execute(sql.SQL("drop table {}").format(side))
        return
    connection.execute(sql.SQL("analyze {}").format(side))
    names = {
        "main": sql.Identifier("staging", load.staging),
        "side": side,
        "findings": sql.Identifier("staging", f"{load.staging}_q"),
        "key": sql.SQL(", ").join(sql.Identifier("m", c) for c in dataset.key_columns),
        "join": sql.SQL(", ").join(map(sql.Identifier, dataset.key_columns)),
        "shown": sql.SQL(" || ', ' || ").join(
            sql.SQL("coalesce({}::text, '')").format(sql.Identifier(c)) for c in dataset.key_columns
        ),
        "column": sql.Literal(", ".join(dataset.key_columns)),
        "load": sql.Literal(load.load_id),
        "file": sql.Literal(load.file_id),
        "columns": sql.SQL(", ").join(
            sql.Identifier(c) for c in [*(c.name for c in dataset.stored), "_load_id"]
        ),
    }
    connection.execute(sql.SQL(DECIDE).format(**names))
    if dataset.key == "content":
        kept = connection.execute(sql.SQL(KEEP_ALL).format(**names)).rowcount
        counts.rows += kept
        return
    kept = connection.execute(sql.SQL(KEEP_FIRST).format(**names)).rowcount
    second = row[0] - kept
    counts.rows += kept
    if dataset.duplicates == "ignore":
        counts.ignored += second
    else:
        counts.quarantined += second
        connection.execute(sql.SQL(REJECT).format(**names))


DECIDE = """
create temp table decided on commit drop as
select m.*, (s._load_id is not null)::integer
    + row_number() over (partition by {key} order by m.record_no) as occurrence
from {side} m left join {main} s using ({join});
drop table {side};
"""
KEEP_FIRST = "insert into {main} ({columns}) select {columns} from decided where occurrence = 1"
KEEP_ALL = """
insert into {main} (content_key, {columns})
select case occurrence when 1 then content_key else content_key || '-' || occurrence end, {columns}
from decided
"""
REJECT = """
insert into {findings} (load_id, file_id, record_no, line_no, rule, column_name, value)
select {load}, {file}, record_no, line_no, 'duplicate_key', {column}, {shown}
from decided where occurrence > 1
"""
