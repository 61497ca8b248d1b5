"""Turn what a reader found into a text file, which then goes the way of every file."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from tasks.arrays import texts
from tasks.dialect import SAMPLE, Dialect, dialect_of
from tasks.extract import Arrival, places, sha256
from tasks.sources import BLANK_LINES, reader
from warehouse.errors import SourceUnavailable
from warehouse.settings import settings
from warehouse.spec import Dataset


def spooled(dataset: Dataset, path: Path | None = None) -> Arrival:
    """Read one file, or what the dataset's source answers now, into a text file.

    The file's own bytes are kept too, as `files/<sha256>` in the home.

    Raises:
        SourceUnavailable: it cannot be read, or was changed meanwhile.
        SourceMalformed: it is not of the kind that the spec says, or a column is missing.
    """
    folder = private(settings().home / "spool")
    draft = folder / f"{dataset.table}.{os.getpid()}"
    before = path and path.exists() and path.stat()
    write(draft, reader(dataset.source.kind)(dataset, path))
    digest = sha256(path or draft)
    if path and before and _stamp(path.stat()) != _stamp(before):
        raise SourceUnavailable(
            f"{path}: was changed while it was read.", remedy="Run again when it is whole."
        )
    text = draft.replace(folder / f"{dataset.table}_{digest}.csv")
    if path:
        keep(path, digest)
    dialect = dialect_in(text, dataset, path or text)
    origin = path or Path(f"{dataset.source.kind}:{dataset.table}")
    found = Arrival(dataset.table, origin, digest, (path or text).stat().st_size, dialect, text)
    places(dataset, found)
    return found


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def dialect_in(text: Path, dataset: Dataset, path: Path) -> Dialect:
    """How a spooled text is written; errors name `path`, which it was made of."""
    with text.open("rb") as stream:
        return dialect_of(dataset, path, "utf-8", stream.read(SAMPLE).decode("utf-8", "ignore"))


def clear(dataset: Dataset, older_than: float | None = None) -> None:
    """Drop what earlier runs of the dataset spooled, or of it what is so many seconds old."""
    mine = re.compile(rf"{dataset.table}(\.[0-9]+|_[0-9a-f]{{64}}\.csv)")
    before = math.inf if older_than is None else time.time() - older_than
    for left in (settings().home / "spool").glob(f"{dataset.table}*"):
        if mine.fullmatch(left.name) and left.stat().st_mtime < before:
            left.unlink(missing_ok=True)


def private(folder: Path) -> Path:
    """The folder, there and open to its owner alone: what lies in it may tell of persons."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def keep(path: Path, digest: str) -> None:
    """Keep a copy of the file under its checksum."""
    kept = private(settings().kept_files) / digest
    if not kept.exists():
        draft = kept.with_suffix(f".{os.getpid()}")
        shutil.copyfile(path, draft)
        draft.replace(kept)


def write(path: Path, tables: Iterator[pa.Table]) -> None:
    """Write tables of the same columns as CSV: every text quoted, nulls empty."""
    head = next(tables)
    first = plain(head)
    with path.open("wb") as stream:
        stream.write(_blank_lines(head))
        with pacsv.CSVWriter(stream, first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                stream.write(_blank_lines(table))
                writer.write_table(plain(table).cast(first.schema))


def _blank_lines(table: pa.Table) -> bytes:
    return b"\n" * int((table.schema.metadata or {}).get(BLANK_LINES, 0))


def plain(table: pa.Table) -> pa.Table:
    """The table in types that CSV can hold: what is nested becomes JSON, times lose their zone."""
    return pa.table([_plain(column) for column in table.columns], table.column_names)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_nested(kind):
        shown = [
            v if v is None else json.dumps(v, ensure_ascii=False, default=str)
            for v in column.to_pylist()
        ]
        return pa.chunked_array([texts(shown)])
    if pa.types.is_timestamp(kind):
        return pc.strftime(column.cast(pa.timestamp("us", kind.tz)), "%Y-%m-%d %H:%M:%S")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column.cast(pa.string(), safe=False)
    return column.cast(pa.string())
