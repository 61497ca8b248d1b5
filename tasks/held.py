"""Arrivals that are read from bronze: of killed runs, of held-back records, to make silver anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from tasks.blocks import bronze_lines
from tasks.dialect import dialect_of
from tasks.extract import Again, Arrival, Lines
from tasks.ledger import left_in_bronze
from warehouse.database import connect
from warehouse.sources import CsvSource
from warehouse.spec import Dataset


def held_over(dataset: Dataset) -> list[Arrival]:
    """What a killed run landed and nobody merged, where the file itself is gone."""
    return [
        from_bronze(dataset, load, path, sha256, size)
        for load, path, sha256, size in left_in_bronze(dataset)
        if not path.exists()
    ]


def from_bronze(dataset: Dataset, load: int, path: Path, sha256: str, size: int) -> Arrival:
    """The arrival whose lines that load's bronze partition holds."""
    sample = next(bronze_lines(dataset.table, load), b"").decode()
    dialect = dialect_of(dataset, path, "utf-8", sample)
    return Arrival(dataset.table, path, sha256, size, dialect, bronze=load)


@dataclass(frozen=True)
class Done:
    """A load that is done. `bronze` is the load that holds its lines, None where they are gone.

    `origin` is set of a replay: the load in which its records arrived first.
    """

    load_id: int
    file_id: int
    origin: int | None
    path: Path
    sha256: str
    bytes: int
    delimiter: str
    lines: int
    records: int
    bronze: int | None
    let_go: bool


DONE = """
select l.load_id, l.file_id, l.origin, f.path, f.sha256, f.bytes, f.delimiter, l.lines, l.rows_in, (
    select min(b.load_id) from ops.loads b
    where b.file_id = l.file_id and b.landed_at is not null
      and to_regclass(format('bronze.%%I', b.dataset || '_l' || b.load_id)) is not null),
    exists (select from ops.removals r join ops.loads b using (load_id)
            where r.what = 'bronze' and b.file_id = l.file_id)
from ops.loads l join ops.files f using (file_id)
where l.dataset = %s and l.state = 'done' and (%s::bigint[] is null or l.load_id = any(%s))
order by l.load_id
"""


def done(dataset: Dataset, loads: Iterable[int] | None = None) -> list[Done]:
    """The dataset's loads that are done, in order, or those of the given ones."""
    wanted = None if loads is None else list(loads)
    with connect() as connection:
        rows = connection.execute(DONE, [dataset.table, wanted, wanted]).fetchall()
    return [replace(one, path=Path(one.path)) for one in (Done(*row) for row in rows)]


def as_sent(dataset: Dataset, delimiter: str) -> Dataset:
    """The dataset as the text of a replay is read: a header line, no preamble, rows are merged."""
    source = dataset.source
    if isinstance(source, CsvSource):
        plain = {"path": source.path, "quote": source.quote, "unpivot": source.unpivot}
        source = CsvSource(**plain, delimiter=delimiter, encoding="utf-8")
    return dataset.model_copy(update={"source": source, "mode": "merge"})


def landed(dataset: Dataset, load: Done, *, whole: bool = False) -> Arrival:
    """A load's lines as they arrived, without the records that were sent again unless `whole`."""
    assert load.bronze
    read = dataset if load.origin is None else as_sent(dataset, load.delimiter)
    arrival = from_bronze(read, load.bronze, load.path, load.sha256, load.bytes)
    with connect() as connection:
        if load.origin is not None:
            arrival = replace(arrival, again=_again(connection, load))
        if not whole:
            arrival = replace(arrival, without=_sent_again(connection, load.load_id))
    return arrival


def _sent_again(connection: psycopg.Connection[Any], load: int) -> Lines | None:
    """The first lines of a load's records that were sent again, in order, if any."""
    query = "select from_line from ops.replays where from_load = %s order by 1"
    rows = connection.execute(query, [load]).fetchall()
    return np.array(rows, np.int64).ravel() if rows else None


AGAIN = """
select from_load, line_no, from_line, edited, replaces from ops.replays
where load_id = %s order by line_no
"""


def _again(connection: psycopg.Connection[Any], load: Done) -> Again:
    rows = connection.execute(AGAIN, [load.load_id]).fetchall()
    source, starts, lines, edited, replaces = zip(*rows, strict=True)
    assert load.origin
    return Again(
        source[0],
        load.origin,
        np.array([*starts, load.lines + 1], np.int64),
        np.array(lines, np.int64),
        np.array(edited, np.bool_),
        np.array(replaces, np.bool_),
    )
