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

from tasks.dialect import Unclosed, opened, record_at
from tasks.expressions import MACROS, TRIM
from tasks.extract import Arrival, arrival
from tasks.infer import Kind, infer
from tasks.names import header_names
from tasks.privacy import Guess, guess_privacy
from tasks.records import batches
from warehouse.errors import SourceMalformed
from warehouse.settings import settings
from warehouse.spec import Dataset, Source

LOOKED_AT = 200  # records at the start of a file that decide where its header is
SHORT = 1 << 20
FOOTER = 8  # records at the end that may be a footer
FOOTER_WORD = re.compile(
    r"\W*(totals?|grand total|sources?|notes?|footnotes?|fuentes?|quellen?|bron|copyright|"
    r"generated|printed|end of|report)\b|\(?\d+ rows",
    re.IGNORECASE,
)
HEADERS = frozenset({"id", "name", "date", "year", "month", "code", "title", "email", "type"})
NO_TABLE = ((re.compile(r"\s*<[!a-zA-Z?]"), "HTML or XML"),
            (re.compile(r'\s*(\{|\[\s*[\[{"\]])\s*["\[{}\]]?'), "JSON"))  # fmt: skip
WIDEST = 1500  # PostgreSQL takes 1,600 columns; a load adds a few
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
    blank: int
    distinct: int
    privacy: Guess | None
    few_values: tuple[str, ...]
    example: str | None


@dataclass(frozen=True)
class Profile:
    """What a file holds. `records` counts records with as many cells as the header."""

    arrival: Arrival
    source: Source
    columns: tuple[ColumnProfile, ...]
    key: tuple[str, ...]
    records: int
    ragged: int
    broken: int
    blank_lines: int
    notes: tuple[str, ...]


def profile(file: Path) -> Profile:
    """Read the file and say what it holds.

    Raises:
        SourceUnavailable: the file is not there or cannot be read.
        SourceMalformed: it is no text or holds no table.
    """
    found, source, headers, notes = _shape(file)
    with _cells(found, source) as (connection, counts):
        records, ragged, broken, blank_lines = counts
        if not records and (ragged or broken):
            raise SourceMalformed(
                file, "no line has as many cells as the header.", remedy="Is it a table?"
            )
        columns = tuple(_columns(connection, found, headers))
        key = _key(connection, columns, records)
    return Profile(found, source, columns, key, records, ragged, broken, blank_lines, tuple(notes))


def _shape(file: Path) -> tuple[Arrival, Source, list[str], list[str]]:
    """Where the table starts and ends, how it is written, and its headers."""
    source = Source(path=str(file), header=False)
    raw = arrival(_provisional(source), file)
    text = _start(raw)
    for pattern, kind in NO_TABLE:
        if pattern.match(text.lstrip("\ufeff")):
            raise SourceMalformed(file, f"is {kind}.", remedy="Save it as CSV.")
    rows = list(_numbered(text, raw.dialect.delimiter, raw.dialect.quote, LOOKED_AT))
    if not any(any(cell.strip() for cell in row) for _, row in rows):
        raise SourceMalformed(file, "holds no table: it is empty.", remedy="Is it the right file?")
    comment = "#" if rows[0][1][0].lstrip("\ufeff").startswith("#") else None
    rows = [r for r in rows if not (comment and r[1][0].lstrip("\ufeff").startswith(comment))]
    place = _header_place(rows)
    headed = _is_header(rows, place)
    notes = []
    if raw.dialect.encoding == "cp1252":
        notes.append("The encoding cp1252 is a guess: look at letters with accents.")
    first_line = rows[place][0]
    source = Source(
        path=str(file),
        delimiter=raw.dialect.delimiter,
        encoding=raw.dialect.encoding,
        header=headed,
        preamble=first_line - 1 if place else 0,
        comment=comment,
    )
    headers = [" ".join(c.replace("\ufeff", "").split()) for c in rows[place][1]]
    if headed and _unusable(headers):
        notes.append("Headers are blank or stand twice, so columns are named by place (c1, c2, …).")
        after = rows[place + 1][0] if place + 1 < len(rows) else first_line + 1
        source = source.model_copy(update={"header": False, "preamble": after - 1})
    elif not headed:
        notes.append("No header was found, so columns are named by place (c1, c2, …).")
        headers = [""] * len(headers)
    source = source.model_copy(update={"footer": _footer(raw, rows, len(headers))})
    if len(headers) > WIDEST:
        raise SourceMalformed(
            file,
            f"has {len(headers)} columns; a table takes {WIDEST}.",
            remedy="Turn columns into rows first, or write a spec with source.unpivot.",
        )
    return arrival(_provisional(source), file), source, headers, notes


def _provisional(source: Source) -> Dataset:
    """A dataset without columns, so that a file can be read before it is described."""
    return Dataset.model_validate(
        {
            "domain": "local",
            "name": "draft",
            "path": Path("draft.yml"),
            "title": "draft",
            "grain": "a line",
            "source": source,
            "key": "content",
            "access": {},
            "columns": (),
        }
    )


def _start(found: Arrival) -> str:
    """The file's first text."""
    dialect = found.dialect
    with opened(found.path, dialect.compression) as stream:
        text: str = stream.read(1 << 20).decode(dialect.encoding, "replace")
    return text.replace("\r", "\n") if dialect.returns_only else text


def _numbered(
    text: str, delimiter: str, quote: str | None, limit: int
) -> Iterator[tuple[int, list[str]]]:
    """The first records that are no blank lines, each with the number of its first line."""
    at, line, count = 0, 1, 0
    while at < len(text) and count < limit:
        try:
            fields, end = record_at(text, at, delimiter, quote)
        except Unclosed:
            return
        if fields != [""]:
            count += 1
            yield line, fields
        line += text.count("\n", at, end)
        at = end


def _header_place(rows: list[tuple[int, list[str]]]) -> int:
    """Which record is the first of the table: those before it have fewer cells filled."""
    widths = [len(r) for _, r in rows]
    usual = max(set(widths), key=lambda w: (widths.count(w), w == widths[0], w))
    for place, (_, row) in enumerate(rows[: LOOKED_AT // 2]):
        filled = sum(bool(c.strip()) for c in row)
        if len(row) == usual and filled * 2 >= usual:
            return place
    return next(i for i, w in enumerate(widths) if w == usual)


def _is_header(rows: list[tuple[int, list[str]]], place: int) -> bool:
    """Whether the first record names columns: its cells do not look like the numbers below."""
    head = rows[place][1]
    body = [r for _, r in rows[place + 1 :] if len(r) == len(head)]
    if {c.strip().casefold() for c in head} & HEADERS:
        return True
    if not body:
        return not any(_is_number(c) for c in head)
    votes = 0
    for i, cell in enumerate(head):
        below = [r[i] for r in body if r[i].strip()]
        if below and all(_is_number(c) for c in below):
            votes += 1 if _digits(cell) not in map(_digits, below) else -1
    return votes >= 0


def _digits(cell: str) -> str:
    """The shape of a cell: a 9 for each run of digits."""
    return re.sub(r"\d+", "9", cell.strip())


def _is_number(cell: str) -> bool:
    return any(c.isdigit() for c in cell) and not any(c.isalpha() for c in cell)


def _unusable(headers: list[str]) -> bool:
    """Whether headers are too poor to find columns by."""
    folded = [h.casefold() for h in headers]
    return "" in folded or len(set(folded)) < len(folded)


def _footer(found: Arrival, rows: list[tuple[int, list[str]]], width: int) -> str | None:
    """A pattern for the line that ends the data, where the last lines are plainly no data.

    They have not as many cells as the rest, and start with a word that footers start with and
    that starts no line before. Only short files are looked at: their text is read as a whole.
    """
    if found.dialect.compression or found.bytes > SHORT or width < 3:
        return None
    dialect = found.dialect
    every = [r for _, r in _numbered(_start(found), dialect.delimiter, dialect.quote, 1 << 20)]
    tail = every[-FOOTER:]
    odd = [r for r in tail if len(r) != width or sum(bool(c.strip()) for c in r) <= 1]
    words = [w for r in odd if (w := FOOTER_WORD.match(r[0]))]
    if not words or odd[-1] != every[-1]:
        return None
    word = words[0].group()
    starts = [i for i, r in enumerate(every) if r[0].startswith(word)]
    return f'"?{_escaped(word)}' if starts[0] >= len(every) - FOOTER else None


def _escaped(word: str) -> str:
    return "".join(f"\\{c}" if not c.isalnum() else c for c in word)


Counts = tuple[int, int, int, int]


@contextmanager
def _cells(found: Arrival, source: Source) -> Iterator[tuple[duckdb.DuckDBPyConnection, Counts]]:
    """All cells as text in a DuckDB table `cells (n, c0, c1, …)`, and how many records there are.

    The counts: records, ragged records, records with bytes that are no text, blank lines.
    """
    width = len(found.dialect.header)
    with tempfile.TemporaryDirectory(prefix="carrel-") as folder:
        connection = duckdb.connect(str(Path(folder) / "cells.duckdb"))
        connection.execute(f"set memory_limit = '{settings().load_memory_mb}MB'")
        connection.execute("set preserve_insertion_order = true")
        connection.execute(MACROS)
        connection.execute(TRIM[True])
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


def _columns(
    connection: duckdb.DuckDBPyConnection, found: Arrival, headers: list[str]
) -> Iterator[ColumnProfile]:
    """Each column's profile; the order of day and month that one column shows holds for all."""
    names = header_names(headers)
    kinds = [infer(connection, f"c{i}", h) for i, h in enumerate(headers)]
    kinds = _same_order(kinds)
    samples = [_sample(connection, i) for i in range(len(headers))]
    guesses = guess_privacy(names, samples)
    for i, (header, name, kind) in enumerate(zip(headers, names, kinds, strict=True)):
        filled, distinct = _counted(connection, i)
        yield ColumnProfile(
            header=header,
            source=found.dialect.header[i],
            name=name,
            kind=kind,
            blank=kind.rows - filled,
            distinct=distinct,
            privacy=guesses[i],
            few_values=_few(connection, i, distinct, filled),
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


def _counted(connection: duckdb.DuckDBPyConnection, i: int) -> tuple[int, int]:
    """How many cells are not blank, and how many distinct values they hold."""
    query = f"""
        select count(*), count(distinct c) from (
            select trimmed(c{i}) as c from cells where trimmed(c{i}) <> '')
    """  # noqa: S608
    row = connection.execute(query).fetchone()
    assert row
    return row[0], row[1]


def _few(
    connection: duckdb.DuckDBPyConnection, i: int, distinct: int, filled: int
) -> tuple[str, ...]:
    """The values of a small closed set, most frequent first."""
    if not 1 < distinct <= 12 or filled < 50:
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
    single = [c for i, c in fit if c.distinct == records and (i == 0 or _names_rows(c.name))]
    if single:
        return (min(single, key=lambda c: not _names_rows(c.name)).name,)
    if records < LONG_ENOUGH:
        return ()
    naming = [(i, c) for i, c in fit if c.distinct > 1 and _names_or_dates(c)][:KEY_COLUMNS]
    for chosen in (*combinations(naming, 2), *combinations(naming, 3)):
        if prod(c.distinct for _, c in chosen) >= records:
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
    return not (column.blank or column.kind.nulls or dropped or measure or wordy)


def _names_or_dates(column: ColumnProfile) -> bool:
    number = column.kind.type in ("integer", "bigint")
    return not number or _names_rows(column.name)


def _names_rows(name: str) -> bool:
    ends = ("id", "key", "code", "no", "nr", "num", "number", "barcode", "uuid", "ref", "year")
    return name in ends or name.endswith(tuple(f"_{e}" for e in ends))
