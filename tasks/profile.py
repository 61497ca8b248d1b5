"""Look at the whole of a file that nobody has described: dialect, columns, types, keys, privacy.

The cells are read as a load reads them (`tasks.records`), so that what is found here is what a load
will find. They go to a DuckDB file that is thrown away; memory is bounded by
`settings.load_memory_mb`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from math import prod
from pathlib import Path

import duckdb

from tasks.expressions import MACROS, TRIM
from tasks.extract import Arrival
from tasks.infer import Kind, infer
from tasks.kinds import described
from tasks.names import header_names
from tasks.privacy import Guess, guess_privacy
from tasks.records import batches
from tasks.shape import Shape
from warehouse.errors import SourceMalformed
from warehouse.settings import settings
from warehouse.sources import CsvSource, Source

KEY_COLUMNS = 7
LONG_ENOUGH = 50
SAMPLE = 2000


@dataclass(frozen=True)
class ColumnProfile:
    """One column of the file: what its header says and what its cells hold."""

    header: str
    source: str
    name: str
    kind: Kind
    privacy: Guess | None
    few_values: tuple[str, ...]
    example: str | None


@dataclass(frozen=True)
class Profile:
    """What a file holds. `records` counts records with as many cells as the header.

    `kind` is what the file is where it is no text; `source` is then how the text is written that
    its reader made.
    """

    arrival: Arrival
    source: CsvSource
    columns: tuple[ColumnProfile, ...]
    key: tuple[str, ...]
    records: int
    ragged: int
    broken: int
    blank_lines: int
    notes: tuple[str, ...]
    kind: Source | None = None


def profile(file: Path) -> Profile:
    """Read the file and say what it holds.

    Raises:
        SourceUnavailable: the file is not there or cannot be read.
        SourceMalformed: it holds no table, or is of a kind that nothing reads.
    """
    with described(file) as seen, _cells(seen.arrival, seen.source) as (connection, counts):
        records, ragged, broken, blank_lines = counts
        if not seen.kind:
            _check_table(seen.arrival, records, ragged, broken)
        columns = tuple(_columns(connection, seen))
        key = _key(connection, columns, records)
    return Profile(
        seen.arrival,
        seen.source,
        columns,
        key,
        records,
        ragged,
        broken,
        blank_lines,
        seen.notes,
        seen.kind,
    )


def _check_table(found: Arrival, records: int, ragged: int, broken: int) -> None:
    """Refuse a text that has no line as its header has it, and running text."""
    width, line = len(found.dialect.header), found.dialect.header_line
    cells = "1 cell" if width == 1 else f"{width} cells"
    if ragged and (not records or (width == 1 and ragged >= records)):
        raise SourceMalformed(
            found.path,
            f"holds no table: the header has {cells}, {ragged} of {records + ragged + broken}"
            " lines below have not.",
            line=line,
            remedy="Mend those lines, or say in a spec where the table starts and what parts"
            " its cells.",
        )
    if broken and not records:
        raise SourceMalformed(
            found.path,
            f"every line below holds bytes that are no text in {found.dialect.encoding}.",
            line=line,
            remedy="State the encoding in a spec, or save it as UTF-8.",
        )


Counts = tuple[int, int, int, int]


@contextmanager
def _cells(found: Arrival, source: CsvSource) -> Iterator[tuple[duckdb.DuckDBPyConnection, Counts]]:
    """All cells as text in a DuckDB table `cells (n, c0, c1, …)`, and how many records there are.

    The counts: records, ragged records, records with bytes that are no text, blank lines.
    """
    width = len(found.dialect.header)
    with tempfile.TemporaryDirectory(prefix="carrel-") as folder:
        connection = duckdb.connect(str(Path(folder) / "cells.duckdb"))
        connection.execute(f"set memory_limit = '{settings().load_memory_mb}MB'")
        connection.execute("set preserve_insertion_order = true; set enable_progress_bar = false")
        connection.execute(TRIM[True])
        connection.execute(MACROS)
        columns = ", ".join(f"c{i} text" for i in range(width))
        connection.execute(f"create table cells ({columns})")
        records = ragged = broken = blank = 0
        for batch in batches(found, source, list(range(width))):
            block = batch.cells  # read by DuckDB under this name
            connection.execute("insert into cells select * from block")
            records, blank = records + block.num_rows, blank + batch.blank
            ragged += sum(f.rule == "ragged" for f in batch.findings)
            broken += sum(f.rule == "encoding" for f in batch.findings)
        try:
            yield connection, (records, ragged, broken, blank)
        finally:
            connection.close()


def _columns(connection: duckdb.DuckDBPyConnection, seen: Shape) -> Iterator[ColumnProfile]:
    """Each column's profile; the order of day and month that one column shows holds for all."""
    names = header_names(list(seen.headers))
    kinds = _same_order([infer(connection, f"c{i}", h) for i, h in enumerate(seen.headers)])
    samples = [_sample(connection, i) for i in range(len(names))]
    guesses = guess_privacy(names, samples)
    for i, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        yield ColumnProfile(
            header=seen.headers[i],
            source=seen.arrival.dialect.header[i],
            name=name,
            kind=kind,
            privacy=guesses[i],
            few_values=_few(connection, i, kind),
            example=samples[i][0] if samples[i] else None,
        )


def _same_order(kinds: list[Kind]) -> list[Kind]:
    """Give columns that leave day and month open the order that another column shows."""
    shown = {k.day_first for k in kinds if k.day_first is not None and not k.ambiguous}
    if len(shown) != 1:
        return kinds
    order = shown.pop()
    return [k.in_order(order) if k.ambiguous else k for k in kinds]


def _sample(connection: duckdb.DuckDBPyConnection, i: int) -> list[str]:
    """Some cells that are not blank, from the start of the file."""
    query = f"select trimmed(c{i}) from cells where trimmed(c{i}) <> '' limit {SAMPLE}"  # noqa: S608
    return [cell for (cell,) in connection.execute(query).fetchall()]


def _few(connection: duckdb.DuckDBPyConnection, i: int, kind: Kind) -> tuple[str, ...]:
    """The values of a small closed set, most frequent first."""
    if not 1 < kind.distinct <= 12 or kind.filled < 50:
        return ()
    query = f"""
        select trimmed(c{i}) from cells where trimmed(c{i}) <> ''
        group by 1 order by count(*) desc, 1
    """  # noqa: S608
    return tuple(cell for (cell,) in connection.execute(query).fetchall())


def _key(
    connection: duckdb.DuckDBPyConnection, columns: tuple[ColumnProfile, ...], records: int
) -> tuple[str, ...]:
    """One to three columns that name each record; nothing where there are none.

    A single column must look like a name of rows (an id, or the first column): other distinct
    values may be chance. Several must be no measures, and the file must be long enough to tell.
    """
    fit = [(i, c) for i, c in enumerate(columns) if _may_be_key(c) and records > 1]
    single = [c for i, c in fit if c.kind.distinct == records and (i == 0 or _names_rows(c.name))]
    if single:
        return (min(single, key=lambda c: not _names_rows(c.name)).name,)
    if records < LONG_ENOUGH:
        return ()
    naming = [(i, c) for i, c in fit if c.kind.distinct > 1 and _names_or_dates(c)][:KEY_COLUMNS]
    for chosen in (*combinations(naming, 2), *combinations(naming, 3)):
        if prod(c.kind.distinct for _, c in chosen) >= records:
            cells = ", ".join(f"trimmed(c{i})" for i, _ in chosen)
            query = f"select count(*) from (select distinct {cells} from cells)"  # noqa: S608
            row = connection.execute(query).fetchone()
            if row and row[0] == records:
                return tuple(c.name for _, c in chosen)
    return ()


def _may_be_key(column: ColumnProfile) -> bool:
    dropped = column.privacy is not None and column.privacy.privacy == "drop"
    measure = column.kind.type in ("numeric", "double", "boolean")
    wordy = column.kind.longest > 60 or re.search(
        r"(^|_)(title|authors?|description|comments?|notes?|url|address)(_|$)", column.name
    )
    return not (
        column.kind.filled < column.kind.rows or column.kind.nulls or dropped or measure or wordy
    )


def _names_or_dates(column: ColumnProfile) -> bool:
    number = column.kind.type in ("integer", "bigint")
    return not number or _names_rows(column.name)


def _names_rows(name: str) -> bool:
    ends = ("id", "key", "code", "no", "nr", "num", "number", "barcode", "uuid", "ref", "year")
    return name in ends or name.endswith(tuple(f"_{e}" for e in ends))
