"""Trim, type, check and pseudonymise a file's rows set-wise; put good and bad ones in staging.

Good rows go to `staging.<table>_<load>`, findings to `staging.<table>_<load>_q`. The SQL comes
from the spec (`expressions`), DuckDB runs it a block at a time, and PostgreSQL receives the result
through COPY. No row passes through Python.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from tasks.ahead import ahead
from tasks.arrays import mask, numbers, texts, values
from tasks.blocks import BLOCK
from tasks.bulk import copy_in
from tasks.duck import Duck
from tasks.expressions import bad_rows, good_rows
from tasks.extract import Arrival, places
from tasks.firsts import Firsts, Hashes, Mask
from tasks.held import as_sent
from tasks.ledger import Load, closing, drop_staging
from tasks.prepare import Block, Preparing
from tasks.present import Present, present
from tasks.records import Finding, Numbers
from tasks.settle import MOST_DAYS, Settling
from tasks.standing import Standing
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.spec import Dataset

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of malloc.h
MOST_SUSPECTS = 50_000
CREATE = """
create table {table} (like {silver});
alter table {table} alter _load_id set default {load};
"""


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


class Suspects(NamedTuple):
    """Bad rows, and where each stands in the file; why they are bad is not known yet."""

    cells: pa.Table
    record_no: Numbers
    line_no: Numbers


def clean(
    dataset: Dataset, arrival: Arrival, load: Load, target: sql.Identifier | None = None
) -> Cleaned:
    """Clean one file into staging, and find what differs from silver (or from `target`).

    Records that are sent again are merged, whatever the dataset's mode.

    Raises:
        SourceMalformed, SourceUnavailable: the load is closed as failed.
        LoadFailed: the database refused a statement.
    """
    standing = None
    if arrival.again:
        standing = Standing(dataset, load, arrival.again, anew=target is not None)
        dataset = as_sent(dataset, arrival.dialect.delimiter)
    with closing(load), connect() as connection:
        _create_side(connection, load)
        place = target or sql.Identifier("silver", dataset.table)
        cleaning = Cleaning(dataset, arrival, load, connection, place)
        if standing:
            cleaning.judge_by(standing)
        try:
            _ingest(cleaning, dataset, load, place)
        except psycopg.Error as error:
            reason = error.diag.message_primary or type(error).__name__  # DETAIL may hold a row
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
            "create table {m} (_record_no bigint, _line_no bigint, like {silver});"
            "alter table {m} alter _load_id set default {load}"
        ).format(**names)
    )
    connection.commit()


def _ingest(cleaning: Cleaning, dataset: Dataset, load: Load, target: sql.Identifier) -> None:
    """COPY the good rows into a table made in the same transaction, so that it is not logged."""
    table = sql.Identifier("staging", load.staging)
    names = {
        "table": table,
        "silver": sql.Identifier("silver", load.dataset),
        "load": sql.Literal(load.load_id),
    }
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL(CREATE).format(**names))
        copy_in(cursor, table, ahead(cleaning.rows()), freeze=True)
        settling = Settling(cursor, dataset, load.staging, target)
        with ThreadPoolExecutor(1) as beside:
            _settle(settling, cleaning, dataset, load, beside.submit(cleaning.explain))
    cleaning.check_all_sent()


def _settle(
    settling: Settling, cleaning: Cleaning, dataset: Dataset, load: Load, explained: Future[None]
) -> None:
    """Finish the staging table, and the counts."""
    fresh = settling.silver_is_empty()
    if fresh:
        settling.index()
    kept, second = settling.decide(
        fresh, load.load_id, load.file_id, cleaning.standing or cleaning.present
    )
    explained.result()
    counts = cleaning.counts
    counts.fresh = fresh
    counts.rows += kept
    if dataset.duplicates == "ignore":
        counts.ignored += second
    else:
        counts.quarantined += second
    if fresh:
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
        target: sql.Identifier,
    ) -> None:
        """Prepare DuckDB; `connection` receives findings and undecided rows.

        Rows that `target` holds as they are, are counted and not sent.
        """
        self.counts = Cleaned(load.staging)
        self.standing: Standing | None = None
        self._dataset, self._arrival, self._load = dataset, arrival, load
        self._connection, self._target = connection, target
        self.present = Present()
        found = places(dataset, arrival)
        self._wide = len(found.wide) or 1
        columns = {place: name for name, place in found.columns.items()}
        self._names = [columns.get(i, h) for i, h in enumerate(arrival.dialect.header)]
        self._firsts: Callable[[Hashes], Mask] = Firsts(arrival.bytes // 60)
        _keep_memory()
        self._preparing = Preparing(dataset, arrival, found)
        self._duck = Duck()
        self._good = cache(partial(good_rows, dataset, found))
        self._bad = bad_rows(dataset, found)
        self._suspects: list[Suspects] = []
        self._findings: list[Finding] = []
        self._aside: list[pa.Table] = []
        self._days: set[dt.date] = set()
        self._private = any(c.privacy for c in dataset.columns)

    def rows(self) -> Iterator[pa.Table]:
        """Tables of rows that are good, certainly the first of their key, and new to silver."""
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(self._held)
            for block in ahead(self._preparing.blocks()):
                self.counts.records += block.cells.num_rows + block.skipped + len(block.findings)
                self.counts.ignored += block.skipped
                self._note(block.findings)
                good = self._clean(block)
                self.present = asked.result()
                yield self._firsts_of(*good)
        self._flush_aside()
        self._connection.commit()

    def _held(self) -> Present:
        """What silver holds. A snapshot sends all it has, to tell what is gone; a replay too."""
        if self.standing or self._dataset.mode == "snapshot":
            return Present()
        return present(self._target)

    def explain(self) -> None:
        """Write what is left of the findings, once all rows are taken."""
        self._find()
        self._flush_findings()
        self._connection.commit()

    def judge_by(self, standing: Standing) -> None:
        """Of a replay, leave it to `standing` which rows are the first of their key."""
        self.standing, self._firsts = standing, standing.none_certainly

    def check_all_sent(self) -> None:
        """Refuse a replay of which a record is lost or doubled.

        Raises:
            LoadFailed: other records were read than were sent.
        """
        again, without = self._arrival.again, self._arrival.without
        if again is None:
            return
        sent, read = len(again) - (0 if without is None else len(without)), self.counts.records
        if not sent <= read <= sent * self._wide:
            raise LoadFailed(f"{self._load.path}: {sent} records sent, {read} rows read.")

    def _clean(self, block: Block) -> tuple[pa.Table, Numbers, Numbers]:
        """The good rows of a block, and where each stands in the file."""
        self._duck.take_care(block.careful)
        good = self._duck.ask(self._good(block.converted), block=block.ready)
        at = values(good["_r"], np.int64)
        if len(at) and not (np.diff(at) > 0).all():
            good = good.sort_by("_r")
            at = values(good["_r"], np.int64)
        bad = np.ones(block.cells.num_rows, np.bool_)
        bad[at] = False
        if bad.any():
            self._suspect(block, bad)
        return good, block.record_no[at], block.line_no[at]

    def _firsts_of(self, good: pa.Table, record_no: Numbers, line_no: Numbers) -> pa.Table:
        """The rows certainly first of their key and new; second ones are set aside."""
        self._note_days(good)
        first = self._firsts(values(good["_h"], np.uint64))
        rows = good.drop_columns(["_r", "_h"])
        if not first.all():
            aside = ~first
            self._set_aside(rows.filter(mask(aside)), record_no[aside], line_no[aside])
        self.counts.rows += int(first.sum())
        first[first] = ~self.present(values(good["_hash"], np.int64)[first])
        return rows if first.all() else rows.filter(mask(first))

    def _suspect(self, block: Block, bad: npt.NDArray[np.bool_]) -> None:
        """Gather bad rows: why they are bad is asked for many at a time."""
        cells = block.cells.filter(mask(bad)).drop_columns(["_r"])
        self._suspects.append(Suspects(cells, block.record_no[bad], block.line_no[bad]))
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
        cells = cells.append_column("_r", numbers(np.arange(len(cells))))
        self._duck.take_care(True)
        found = self._duck.ask(self._bad, suspects=cells)
        at = values(found["_r"], np.int64)
        blank = found["blank"]
        ignored = pc.sum(blank).as_py() or 0
        self.counts.ignored += ignored
        self.counts.quarantined += len(cells) - ignored
        table = found.drop_columns(["_r", "blank"])
        table = table.append_column("record_no", numbers(record_no[at]))
        table = table.append_column("line_no", numbers(line_no[at]))
        self._quarantine(table.filter(pc.invert(blank)))

    def _note(self, findings: list[Finding]) -> None:
        """Gather the findings on records that could not be cut into cells."""
        self.counts.quarantined += len(findings)
        self._findings += findings
        if len(self._findings) > MOST_SUSPECTS:
            self._flush_findings()

    def _flush_findings(self) -> None:
        found, count = self._findings, len(self._findings)
        if not found:
            return
        named = texts([self._name_of(f.position) for f in found])
        columns = {
            "record_no": numbers(np.array([(f.record_no - 1) * self._wide + 1 for f in found])),
            "line_no": numbers(np.array([f.line_no for f in found])),
            "rule": texts([f.rule for f in found]),
            "column_name": pc.if_else(pc.equal(named, texts([""])[0]), pa.NA, named),
            "value": pa.nulls(count, pa.string())
            if self._private
            else texts([f.value[:500] for f in found]),
        }
        self._quarantine(pa.table(list(columns.values()), list(columns)))
        self._findings = []

    def _name_of(self, position: int | None) -> str:
        """The column, or else the header, at a position; empty where that is not known."""
        if position is None:
            return ""
        return self._names[position] if position < len(self._names) else f"field {position + 1}"

    def _set_aside(self, rows: pa.Table, record_no: Numbers, line_no: Numbers) -> None:
        """Keep rows that may be second of their key until the end."""
        table = rows.add_column(0, "_record_no", numbers(record_no))
        self._aside.append(table.add_column(1, "_line_no", numbers(line_no)))
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

    def _quarantine(self, table: pa.Table) -> None:
        for name, value in (("load_id", self._load.load_id), ("file_id", self._load.file_id)):
            table = table.append_column(name, numbers(np.full(table.num_rows, value)))
        self._copy("_q", table)

    def _copy(self, suffix: str, table: pa.Table) -> None:
        """COPY a small table to a side table."""
        target = sql.Identifier("staging", self._load.staging + suffix)
        with self._connection.cursor() as cursor:
            copy_in(cursor, target, iter([table]))


def _keep_memory() -> None:
    """Keep freed memory for the next block: to give it back and clear it anew costs a tenth.

    Arrow's by jemalloc, where it is built in; numpy's and Python's by glibc (`man mallopt`).
    """
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, BLOCK * 8)
        library.mallopt(TRIM_THRESHOLD, BLOCK * 16)
