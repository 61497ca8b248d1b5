"""Find a dataset's files, and find out how each is written."""

from __future__ import annotations

import difflib
import hashlib
import itertools
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.dialect import (
    BROKEN,
    SAMPLE,
    Dialect,
    compression_of,
    dialect_of,
    encoding_of,
    first_control,
    fold,
    is_text,
    opened,
)
from warehouse.errors import SourceMalformed, SourceUnavailable, SpecError
from warehouse.settings import settings
from warehouse.sources import FAULT, CsvSource, FileSource
from warehouse.spec import Column, Dataset

CHUNK = 1 << 20
Lines = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Again:
    """Records that were held back in the load `source` and are sent again.

    `starts` are the lines of the new text on which each starts, then the line past the last;
    `lines` those on which they started in the source. `edited` says which are no longer as they
    were; `replaces` which of them were held back as second rows of their key.
    `origin` is the load in which they arrived first.
    """

    source: int
    origin: int
    starts: Lines
    lines: Lines
    edited: npt.NDArray[np.bool_]
    replaces: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.lines)

    def __str__(self) -> str:
        return f"{len(self)} records held back in load {self.source}, {self.edited.sum()} edited"


@dataclass(frozen=True)
class Arrival:
    """A file that arrived for a dataset: where it is, what it weighs, how it is written.

    `spooled` is the text that a reader made of it, where it is no text itself; `bronze` is set
    where the lines are to be read from that load's bronze partition instead. `again` is set where
    the records were held back before; `without` are the first lines of records to leave out.
    """

    dataset: str
    path: Path
    sha256: str
    bytes: int
    dialect: Dialect
    spooled: Path | None = None
    bronze: int | None = None
    again: Again | None = None
    without: Lines | None = field(default=None, compare=False)


def extract(dataset: Dataset, path: Path | None = None) -> list[Arrival]:
    """The files to load, in order of name; of a snapshot only the last one.

    Files that a killed run landed and that are gone since come first, read from bronze.

    Args:
        dataset: whose files.
        path: one file or a folder; default: what the spec's `source.path` matches.

    Raises:
        SourceUnavailable: there is no such file, or it is a link that leads out of its folder.
        SpecError: `source.path` goes up by `..`.
        SourceMalformed: a file is no text, or a required column is missing.
    """
    from tasks.held import held_over
    from tasks.spool import clear, spooled

    held = [] if path else held_over(dataset)
    source = dataset.source
    clear(dataset)
    if not isinstance(source, FileSource):
        return [*held, spooled(dataset)]
    look = arrival if isinstance(source, CsvSource) else spooled
    try:
        found = _paths(dataset, source, path)
    except SourceUnavailable:
        if held:
            return held
        raise
    if dataset.mode == "snapshot":
        return [look(dataset, found[-1])]
    return held + [look(dataset, p) for p in found]


def _paths(dataset: Dataset, source: FileSource, path: Path | None) -> list[Path]:
    root, pattern = place(dataset, source)
    if path is None:
        found = within(root, pattern)
    elif path.is_dir():
        root, pattern = path, Path(pattern).name
        found = within(root, pattern)
    else:
        root, found = path, [path] if path.is_file() else []
    if not found:
        where = root if path else root / pattern
        raise SourceUnavailable(
            f"{dataset.table}: no file at {where}.", remedy="Put it there, or name its path."
        )
    return found


def place(dataset: Dataset, source: FileSource) -> tuple[Path, str]:
    """The folder of a source's files, and the pattern of their paths below it.

    Raises:
        SpecError: the path names no file, or goes up by `..`.
    """
    path = Path(source.path)
    parts = path.relative_to(path.anchor).parts
    if not parts or ".." in parts:
        raise SpecError(
            dataset.path,
            f"source.path {source.path!r} names no file, or goes up by `..`.",
            remedy="Name files below the landing folder, or a whole path from / on.",
        )
    if not path.is_absolute():
        return settings().landing_folder, str(path)
    fixed = list(itertools.takewhile(lambda part: not re.search(r"[*?[]", part), parts[:-1]))
    return Path(path.anchor, *fixed), str(Path(*parts[len(fixed) :]))


def within(root: Path, pattern: str) -> list[Path]:
    """The files of a folder that a pattern matches, in order of name.

    Raises:
        SourceUnavailable: one of them is a link that leads out of the folder.
    """
    found = sorted(path for path in root.glob(pattern) if path.is_file())
    real = root.resolve()
    for path in found:
        if not path.resolve().is_relative_to(real):
            raise SourceUnavailable(
                f"{path}: is a link that leads out of {root}.",
                remedy="Remove it; put the file itself there, or name its own path.",
            )
    return found


def arrival(dataset: Dataset, path: Path) -> Arrival:
    """Look at one file: checksum, encoding, delimiter, header.

    Raises:
        SourceUnavailable: it cannot be read.
        SourceMalformed: it is no text, or a required column is missing.
    """
    found = looked_at(dataset, path)
    places(dataset, found)
    return found


def looked_at(dataset: Dataset, path: Path) -> Arrival:
    """The same without asking for the spec's columns."""
    try:
        compression = compression_of(path)
        with opened(path, compression) as stream, ThreadPoolExecutor(1) as beside:
            digested = beside.submit(sha256, path)
            sample = stream.read(SAMPLE)
            encoding = dataset.text.encoding or encoding_in(path, compression, sample)
            digest = digested.result()
        size = path.stat().st_size
    except BROKEN as error:
        raise SourceUnavailable(
            f"{path}: cannot be read: {error}.", remedy="Fetch it again, whole."
        ) from error
    if encoding == "utf-8" and sample.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    try:
        text = sample.decode(encoding, "replace")
    except LookupError:
        raise SourceMalformed(
            path, f"{encoding!r} is no encoding.", remedy="Correct source.encoding in the spec."
        ) from None
    if not is_text(text):
        raise SourceMalformed(
            path,
            "holds bytes that are no text.",
            line=text.count("\n", 0, first_control(text)) + 1,
            remedy="Save it as CSV in UTF-8.",
        )
    dialect = dialect_of(dataset, path, encoding, text)
    return Arrival(dataset.table, path, digest, size, replace(dialect, compression=compression))


def encoding_in(path: Path, compression: str | None, sample: bytes) -> str:
    """The encoding of a file that starts with the sample (decompressed), as `encoding_of`."""
    if compression:
        return encoding_of(sample)
    return encoding_of(sample, _later_chunks(path))


def _later_chunks(path: Path) -> Iterator[bytes]:
    """Chunks after the sample that hold more than ASCII, at most 16 of them."""
    found = 0
    with path.open("rb") as stream:
        stream.seek(SAMPLE)
        while found < 16 and (chunk := stream.read(CHUNK)):
            if not chunk.isascii():
                found += 1
                yield chunk


def sha256(path: Path) -> str:
    """The checksum of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Places:
    """Which header position feeds each column; None where an optional column is absent.

    `wide` lists the positions that are turned into rows. `fault` is where a reader says why a
    record cannot be read.
    """

    columns: dict[str, int | None]
    wide: tuple[int, ...] = ()
    fault: int | None = None

    @property
    def used(self) -> list[int]:
        """The positions that are read at all, in order."""
        plain = {p for p in self.columns.values() if p is not None and p >= 0}
        faults = set() if self.fault is None else {self.fault}
        return sorted(plain | set(self.wide) | faults)


UNPIVOT_NAME, UNPIVOT_VALUE = -1, -2


def places(dataset: Dataset, arrival: Arrival) -> Places:
    """Match the header with the spec's columns.

    An extra column is ignored (`extra` names it, and the load notes it).

    Raises:
        SourceMalformed: a column is missing or stands there twice, with line and remedy.
    """
    header = [fold(h) for h in arrival.dialect.header]
    found = {c.name: _place(dataset, arrival, header, c) for c in dataset.columns}
    wide: tuple[int, ...] = ()
    if unpivot := dataset.text.unpivot:
        pattern = re.compile(unpivot.columns)
        wide = tuple(i for i, h in enumerate(arrival.dialect.header) if pattern.fullmatch(h))
        if not wide:
            raise _missing(arrival, unpivot.columns, "no header matches this wide column.")
    return Places(found, wide, _fault(dataset, arrival))


def _fault(dataset: Dataset, arrival: Arrival) -> int | None:
    """Where the faults stand; a text file that people wrote has none."""
    header = arrival.dialect.header
    if isinstance(dataset.source, CsvSource) or FAULT not in header:
        return None
    return header.index(FAULT)


def _place(dataset: Dataset, arrival: Arrival, header: list[str], column: Column) -> int | None:
    unpivot = dataset.text.unpivot
    if unpivot and column.header in (unpivot.name, unpivot.value):
        return UNPIVOT_NAME if column.header == unpivot.name else UNPIVOT_VALUE
    names = [fold(n) for n in (column.header, *column.aliases)]
    hits = [i for i, h in enumerate(header) if h in names]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise _missing(arrival, column.header, "the header names it more than once.")
    if column.optional:
        return None
    raise _missing(arrival, column.header, "the header lacks it.")


def _missing(arrival: Arrival, column: str, message: str) -> SourceMalformed:
    header = arrival.dialect.header
    close = difflib.get_close_matches(column, header, n=1)
    hint = f"Was it renamed to {close[0]!r}? Then add that to its aliases. " if close else ""
    listed = ", ".join(header[:30]) or "nothing"
    return SourceMalformed(
        arrival.path,
        message,
        line=arrival.dialect.header_line,
        column=column,
        remedy=f"{hint}The header holds: {listed}.",
    )


def extra(dataset: Dataset, arrival: Arrival) -> list[str]:
    """Headers that the spec does not name; their cells stay in bronze only."""
    used = set(places(dataset, arrival).used)
    return [h for i, h in enumerate(arrival.dialect.header) if i not in used]
