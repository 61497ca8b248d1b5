"""What quarantine holds: the findings, and the records themselves as they arrived.

A record is known by its load and the line on which it starts there. Its text is in bronze.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg import sql

from tasks.dialect import Dialect, Unclosed, fold, record_at
from tasks.export import whole
from tasks.extract import Arrival, Lines, places
from tasks.held import Done, as_sent, done, landed
from tasks.records import Spans, among, batches, broken_shown
from tasks.writers import Field, Row, to_csv
from warehouse.database import connect
from warehouse.errors import ConfigurationError, LoadFailed
from warehouse.spec import Dataset

OWN = ("_load", "_line", "_file", "_faults")  # the first columns of an export
MORE = "_more"  # its last: what stands beyond the header's columns
CHOSEN = """
(%(load)s::bigint is null or q.load_id = %(load)s) and (%(rule)s::text is null or exists (
    select from {table} o
    where o.load_id = q.load_id and o.line_no = q.line_no and o.rule = %(rule)s))
"""
FIRST = """
{table} q left join ops.replays r on r.load_id = q.load_id and r.line_no = q.line_no
join ops.loads l on l.load_id = coalesce(r.first_load, q.load_id)
join ops.files f on f.file_id = l.file_id
"""
PARTS = {"chosen": CHOSEN, "first": FIRST}
FOUND = """
select q.load_id, q.line_no, q.rule, q.column_name, q.value, f.path,
    coalesce(r.first_line, q.line_no)
from {first} where {chosen} and (%(rule)s::text is null or q.rule = %(rule)s)
order by q.load_id, q.record_no, q.rule, q.column_name limit %(limit)s
"""
TOTALS = """
select q.rule, count(distinct (q.load_id, q.line_no)) from {table} q where {chosen}
group by q.rule order by 2 desc, 1
"""
LINES = "select distinct q.load_id, q.line_no from {table} q where {chosen} order by 1, 2"
FAULTS = """
select q.line_no, f.path, coalesce(r.first_line, q.line_no),
    string_agg(concat_ws(' ', q.rule, q.column_name, '«' || q.value || '»'), '; '
        order by q.record_no, q.rule)
from {first} where {chosen} group by 1, 2, 3 order by 1
"""


@dataclass(frozen=True)
class Found:
    """Why a record is held back. `load` and `line` name it; `file_line` is its line in `file`."""

    load: int
    line: int
    rule: str
    column: str | None
    value: str | None
    file: str
    file_line: int


class Chosen(NamedTuple):
    """Which records: those with a finding of a rule, and those of a load."""

    rule: str | None = None
    load: int | None = None


ALL = Chosen()


def found(dataset: Dataset, chosen: Chosen = ALL, limit: int | None = None) -> list[Found]:
    """The findings, in order of load and line; at most `limit` of them.

    Raises:
        ConfigurationError: the dataset has no tables yet.
    """
    with connect() as connection:
        return [Found(*row) for row in _ask(connection, dataset, FOUND, chosen, limit).fetchall()]


def totals(dataset: Dataset, chosen: Chosen = ALL) -> list[tuple[str, int]]:
    """How many records each rule holds back, the most first; a record may break several."""
    with connect() as connection:
        return _ask(connection, dataset, TOTALS, chosen).fetchall()


def held(dataset: Dataset, chosen: Chosen = ALL) -> dict[int, Lines]:
    """The first lines of the records held back, in order, by load."""
    with connect() as connection:
        rows = _ask(connection, dataset, LINES, chosen).fetchall()
    pairs = np.array(rows, np.int64).reshape(-1, 2)
    loads, starts = np.unique(pairs[:, 0], return_index=True)
    parts = np.split(pairs[:, 1], starts[1:])
    return dict(zip(loads.tolist(), parts, strict=False))


def _ask(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    query: str,
    chosen: Chosen,
    limit: int | None = None,
) -> psycopg.Cursor[Any]:
    name = f'quarantine."{dataset.table}"'
    there = connection.execute("select to_regclass(%s)", [name]).fetchone()
    if not (there and there[0]):
        raise ConfigurationError(
            f"{dataset.table} has no tables yet.", remedy="Run `carrel migrate`."
        )
    facts = chosen._asdict() | {"limit": limit}
    return connection.execute(_composed(dataset, query), facts)


def _composed(dataset: Dataset, query: str) -> sql.Composed:
    table = {"table": sql.Identifier("quarantine", dataset.table)}
    parts = {name: sql.SQL(text).format(**table) for name, text in PARTS.items()}
    return sql.SQL(query).format(**table, **parts)


# The records' texts ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A load with held-back records: its lines, and the dataset as they are read."""

    load: Done
    dataset: Dataset
    arrival: Arrival

    @property
    def dialect(self) -> Dialect:
        """How its lines are written."""
        return self.arrival.dialect

    @property
    def columns(self) -> list[tuple[str, int]]:
        """Each column of the header: its folded name, and the how-manieth of that name it is."""
        names = [fold(name) for name in self.dialect.header]
        return [(name, names[:i].count(name)) for i, name in enumerate(names)]

    def records(self, lines: Lines) -> Iterator[Spans]:
        """The records that start on the lines, a block at a time.

        Raises:
            LoadFailed: by the spec of today the file holds other records than it did.
        """
        seen: list[Spans] = []
        wide = len(places(self.dataset, self.arrival).wide) or 1
        read = taken = 0
        for batch in batches(self.arrival, self.dataset.text, [0], seen.append):
            odd = batch.blank + len(batch.findings)
            read += odd + (batch.records - odd) * wide
            for spans in seen:
                kept = spans.keep(among(spans.lines, lines))
                taken += len(kept.starts)
                if len(kept.starts):
                    yield kept
            seen.clear()
        if (read, taken) != (self.load.records, len(lines)):
            raise LoadFailed(
                f"{self.load.path}: by the spec of today it holds other records than load"
                f" {self.load.load_id} read: {read} instead of {self.load.records}.",
                remedy="Ingest the file again with --force.",
            )


def sources(dataset: Dataset, loads: Iterable[int]) -> dict[int, Source]:
    """The loads whose lines are still in bronze."""
    opened = {}
    for one in done(dataset, loads):
        if one.bronze:
            arrival = landed(dataset, one, whole=True)
            read = as_sent(dataset, one.delimiter) if arrival.again else dataset
            opened[one.load_id] = Source(one, read, arrival)
    return opened


def shown(record: str, dialect: Dialect, width: int) -> list[str]:
    """A record's cells as an export shows them: one for each column, then what is beyond.

    A quote that is never closed is text. Bytes that were no text are shown as in `\\xe9`.
    """
    try:
        fields, _ = record_at(record, 0, dialect.delimiter, dialect.quote)
    except Unclosed:
        fields = record.rstrip("\r\n").split(dialect.delimiter)
    cells = fields[:width] + [""] * (width - len(fields))
    more = dialect.delimiter.join(fields[width:])
    return [broken_shown(cell) for cell in (*cells, more)]


# Export ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exported:
    """What was written: how many records, and how many had no lines any more."""

    path: Path
    records: int
    without_lines: int


def export(dataset: Dataset, to: Path, chosen: Chosen = ALL) -> Exported:
    """Write the records held back to a CSV file that a person may edit; only its owner reads it.

    Raises:
        ConfigurationError: the place cannot be written, or it does not end with .csv.
        LoadFailed: by the spec of today a file holds other records than it did.
    """
    if to.suffix.lower() != ".csv":
        raise ConfigurationError(f"{to}: is to be a CSV file.", remedy="End its name with .csv.")
    lines = held(dataset, chosen)
    opened = sources(dataset, lines)
    columns: dict[tuple[str, int], str] = {}
    for source in opened.values():
        columns |= dict(zip(source.columns, source.dialect.header, strict=True)) | columns
    fields = [Field(OWN[0], "bigint"), Field(OWN[1], "bigint"), Field(OWN[2]), Field(OWN[3])]
    fields += [Field(name) for name in columns.values()] + [Field(MORE)]
    rows = (
        row
        for load, source in opened.items()
        for row in _rows(dataset, source, lines[load], list(columns), chosen)
    )
    with whole(to, 0o600) as draft, closing(rows):
        count = to_csv(draft, fields, rows)
    return Exported(to, count, sum(map(len, lines.values())) - count)


def _rows(
    dataset: Dataset,
    source: Source,
    lines: Lines,
    columns: list[tuple[str, int]],
    chosen: Chosen,
) -> Iterator[Row]:
    """The export's rows of one load."""
    at = [columns.index(c) for c in source.columns]
    facts = chosen._replace(load=source.load.load_id)._asdict()
    with connect() as connection, connection.cursor("faults") as faults:
        faults.itersize = 10_000
        faults.execute(_composed(dataset, FAULTS), facts)
        for spans in source.records(lines):
            for at_line, record in zip(spans.lines.tolist(), texts(spans), strict=True):
                line, path, file_line, why = next(faults, (None, "", 0, ""))
                if line != at_line:
                    raise LoadFailed(f"{dataset.table} was loaded meanwhile.", remedy="Try again.")
                *cells, more = shown(record, source.dialect, len(at))
                row: list[Any] = [""] * len(columns)
                for place, cell in zip(at, cells, strict=True):
                    row[place] = cell
                where = f"{Path(path).name}:{file_line}"
                yield (str(source.load.load_id), str(line), where, why, *row, more)


def texts(spans: Spans) -> Iterator[str]:
    """The text of each record, with its line end."""
    for start, end in zip(spans.starts, spans.ends, strict=True):
        yield spans.text[start:end].decode()
