"""Look at every file below a folder: what it is, what changed, which dataset would take it.

What was seen is kept in `ops.scans`, so that a file of the same size and time is not read again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from tasks.contents import Content, look, unpacked
from tasks.kinds import KINDS, MEGABYTE, Kind, tables
from tasks.records import batches
from tasks.shape import shape
from tasks.sources import FAULT
from tasks.takers import Taker, by_header, by_path
from tasks.walk import Entry, opened_entry, walk
from warehouse.database import connect
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.spec import Dataset, datasets

State = Literal["new", "changed", "same", "gone"]
CSV = Kind("csv", cut=b"\n")
LARGEST = 16 << 30
UNREAD = Content("unread")


@dataclass(frozen=True)
class Seen:
    """One file: `bytes` long, last changed at `modified_ns` (nanoseconds since 1970).

    `rows` is the number of records, None where it is not known or there are none to count.
    `looked` says whether the file was looked into for header and rows. `reason` says why it was
    not read or not counted.
    """

    path: str
    bytes: int
    modified_ns: int
    content: Content = UNREAD
    sha256: str | None = None
    rows: int | None = None
    estimated: bool = False
    header: tuple[str, ...] | None = None
    reason: str | None = None
    looked: bool = False
    state: State = "new"
    taker: Taker | None = None

    @property
    def columns(self) -> int | None:
        """How many columns the header has."""
        return None if self.header is None else len(self.header)

    @property
    def fresh(self) -> bool:
        """Whether there is something here that was not here at the last scan."""
        return self.state in ("new", "changed") and self.sha256 is not None


@dataclass(frozen=True)
class Scan:
    """The files of a folder, in order of path, those that are gone last."""

    folder: Path
    scanner: str
    files: tuple[Seen, ...] = field(default=())


def scan(
    folder: Path,
    *,
    pattern: str = "*",
    scanner: str = "scan",
    counting: bool = True,
    largest: int = LARGEST,
) -> Scan:
    """Look at every file below a folder; `remember` makes it the last scan.

    Args:
        folder: where to look.
        pattern: which files, as in `*.csv` or `loans/*.csv`, compared from the right.
        scanner: whose last scan this one is compared with.
        counting: whether to look for headers and count rows.
        largest: bytes; a larger file is listed but not read.

    Raises:
        ConfigurationError: the pattern leads out of the folder.
        SourceUnavailable: the folder is not there or cannot be read.
    """
    if pattern.startswith("/") or ".." in PurePosixPath(pattern).parts or not pattern.strip():
        raise ConfigurationError(
            f"{pattern!r} is no pattern of files below the folder.", remedy="Try '*.csv'."
        )
    root = folder.expanduser().resolve()
    last = {p: s for p, s in _last(root, scanner).items() if PurePosixPath(p).match(pattern)}
    known = datasets()
    taken, found = by_path(known), {}
    for entry in walk(root):
        if PurePosixPath(entry.path).match(pattern):
            seen = _look(root, entry, last.get(entry.path), counting, largest)
            taker = _taker(root, entry, seen, taken, known)
            found[entry.path] = replace(seen, taker=taker)
    gone = [replace(s, state="gone", taker=None) for p, s in last.items() if p not in found]
    return Scan(root, scanner, (*(found[p] for p in sorted(found)), *gone))


def again(scanned: Scan) -> Scan:
    """The scan with the datasets of now: some may have been added."""
    known = datasets()
    taken = by_path(known)
    return replace(
        scanned,
        files=tuple(
            s
            if s.state == "gone"
            else replace(s, taker=_known(scanned.folder / s.path, s, taken, known))
            for s in scanned.files
        ),
    )


def _taker(
    root: Path, entry: Entry, seen: Seen, taken: dict[Path, str], known: dict[str, Dataset]
) -> Taker | None:
    return None if seen.sha256 is None else _known(root.joinpath(*entry.parts), seen, taken, known)


def _known(
    path: Path, seen: Seen, taken: dict[Path, str], known: dict[str, Dataset]
) -> Taker | None:
    if table := taken.get(path):
        return Taker(table, "path")
    fits = seen.header and by_header(known.values(), seen.content.type, seen.header)
    return Taker(fits, "header") if fits else None


# One file ---------------------------------------------------------------------------------------


def _look(root: Path, entry: Entry, last: Seen | None, counting: bool, largest: int) -> Seen:
    """What a file is, and whether it is the one that was there before."""
    bare = Seen(entry.path, entry.bytes, entry.modified_ns, reason=entry.refused)
    unmoved = last and (last.bytes, last.modified_ns) == (entry.bytes, entry.modified_ns)
    if not entry.refused and entry.bytes > largest:
        bare = replace(bare, reason=f"is larger than {largest:,} bytes: not read")
    if bare.reason is None:
        if last and unmoved and last.sha256 and (last.looked or not counting):
            return replace(last, state="same")
        bare = _read(root, entry, bare, counting)
    return replace(bare, state=_state(bare, last, bool(unmoved)))


def _state(seen: Seen, last: Seen | None, unmoved: bool) -> State:
    if last is None:
        return "new"
    if seen.sha256 and last.sha256:
        return "same" if seen.sha256 == last.sha256 else "changed"
    return "same" if unmoved and seen.reason == last.reason else "changed"


def _read(root: Path, entry: Entry, bare: Seen, counting: bool) -> Seen:
    """The file's checksum, content, header and rows; the reason where it cannot be read."""
    try:
        with opened_entry(root, entry) as (stream, place):
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            seen = replace(bare, sha256=digest)
            try:
                stream.seek(0)
                seen = replace(seen, content=look(stream, place))
                return _counted(seen, stream, place) if counting else seen
            except CarrelError as error:
                said = error.message.removeprefix(str(getattr(error, "path", place)))
                final = not isinstance(error, ConfigurationError)  # a reader may come to be there
                return replace(seen, reason=said.lstrip(" :,"), looked=final)
    except OSError as error:
        return replace(bare, reason=f"cannot be read: {error.strerror or error}")


def _counted(seen: Seen, stream: FileIO, place: Path) -> Seen:
    """The file with its header and the number of its rows."""
    seen = replace(seen, looked=True)
    kind = CSV if seen.content.type == "csv" else KINDS.get(seen.content.type)
    if kind is None:
        return seen
    if kind.count:
        rows, header = kind.count(place)
        return replace(seen, rows=rows, header=_storable(header))
    if not seen.content.compression and seen.bytes <= kind.most:
        rows, header = _rows(kind, place)
        return replace(seen, rows=rows, header=_storable(header))
    if kind.cut is None and not seen.content.compression:
        return replace(seen, reason=f"not counted: larger than {kind.most // MEGABYTE} MB")
    return _sampled(seen, kind, stream, place)


def _sampled(seen: Seen, kind: Kind, stream: FileIO, place: Path) -> Seen:
    """As `_counted`, by the first megabytes; the rest is estimated from their share."""
    with tempfile.NamedTemporaryFile(prefix="carrel-") as copy:
        size, share = _copied(seen, kind, stream, place, copy)  # type: ignore[arg-type]
        if share < 1 and not kind.cut:
            return replace(seen, reason=f"not counted: unpacks to more than {size:,} bytes")
        rows, header = _rows(kind, Path(copy.name))
    estimated = share < 1
    return replace(
        seen,
        rows=round(rows / share) if estimated else rows,
        header=_storable(header),
        estimated=estimated,
    )


def _copied(seen: Seen, kind: Kind, stream: FileIO, place: Path, copy: FileIO) -> tuple[int, float]:
    """Copy the first megabytes, unpacked, up to a record's end: their size, and their share."""
    stream.seek(0)
    packed = seen.content.compression
    pieces = (
        unpacked(stream, packed, place, kind.most + 1) if packed else _pieces(stream, kind.most)
    )
    size = 0
    for piece in pieces:
        size += copy.write(piece)
    at = stream.tell()
    whole = size <= kind.most if packed else at >= seen.bytes
    share = 1.0 if whole else min(at / max(seen.bytes, 1), 0.999)
    if not whole and kind.cut:
        copy.seek(max(0, size - MEGABYTE))
        cut = copy.read().rfind(kind.cut) + 1
        copy.truncate(max(0, size - MEGABYTE) + cut if cut else size)
    copy.flush()
    return size, share


def _pieces(stream: FileIO, most: int) -> Iterator[bytes]:
    for _ in range(most // MEGABYTE):
        yield stream.read(MEGABYTE)


def _rows(kind: Kind, path: Path) -> tuple[int, tuple[str, ...]]:
    """How many records a file has, whole or not, and its header."""
    if kind is CSV:
        found = shape(path)
        wide = range(len(found.arrival.dialect.header))
        counts = [
            b.cells.num_rows + len(b.findings)
            for b in batches(found.arrival, found.source, list(wide)[:1])
        ]
        return sum(counts), found.arrival.dialect.header
    rows, header = 0, None
    for table in tables(kind, path):
        rows += table.num_rows
        header = header or tuple(n for n in table.column_names if n != FAULT)
    return rows, header or ()


def _storable(header: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(h.replace("\0", "").encode("utf-8", "replace").decode() for h in header)


# What was seen last -----------------------------------------------------------------------------


def _last(folder: Path, scanner: str) -> dict[str, Seen]:
    """The files of the last scan, by path."""
    with connect() as connection:
        rows = connection.execute(
            "select path, bytes, modified_ns, type, compression, encoding, sha256, rows, estimated,"
            " header, reason, looked from ops.scans where scanner = %s and folder = %s"
            " order by path",
            [scanner, _text(folder)],
        ).fetchall()
    return {row[0]: _seen(*row) for row in rows}


def _seen(path: str, size: int, modified_ns: int, *rest: Any) -> Seen:
    kind, compression, encoding, digest, rows, estimated, header, reason, looked = rest
    return Seen(
        path,
        size,
        modified_ns,
        Content(kind, compression, encoding),
        sha256=digest,
        rows=rows,
        estimated=estimated,
        header=None if header is None else tuple(header),
        reason=reason,
        looked=looked,
    )


def remember(scanned: Scan, *, without: Iterable[str] = ()) -> None:
    """Make this the last scan.

    Args:
        scanned: what was seen.
        without: paths that the next scan shall tell as this one did.
    """
    left = set(without)
    gone = [s.path for s in scanned.files if s.state == "gone"]
    kept = [s for s in scanned.files if s.state != "gone" and s.path not in left]
    where: list[Any] = [scanned.scanner, _text(scanned.folder)]
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "delete from ops.scans where scanner = %s and folder = %s and path = any(%s)",
            [*where, gone],
        )
        cursor.executemany(SAVE, [[*where, *_row(s)] for s in kept])


def _row(seen: Seen) -> list[Any]:
    content = seen.content
    return [
        seen.path,
        seen.bytes,
        seen.modified_ns,
        content.type,
        content.compression,
        content.encoding,
        seen.sha256,
        seen.rows,
        seen.estimated,
        None if seen.header is None else list(seen.header),
        seen.reason,
        seen.looked,
    ]


SAVE = """
insert into ops.scans (scanner, folder, path, bytes, modified_ns, type, compression, encoding,
                       sha256, rows, estimated, header, reason, looked)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (scanner, folder, path) do update set
    bytes = excluded.bytes, modified_ns = excluded.modified_ns, type = excluded.type,
    compression = excluded.compression, encoding = excluded.encoding, sha256 = excluded.sha256,
    rows = excluded.rows, estimated = excluded.estimated, header = excluded.header,
    reason = excluded.reason, looked = excluded.looked, seen_at = clock_timestamp()
"""


def _text(folder: Path) -> str:
    return os.fsencode(folder).decode("utf-8", "backslashreplace")


def settled(seen: Seen, seconds: float) -> bool:
    """Whether nobody has written to the file for a while; a time to come counts as settled."""
    age = time.time() - seen.modified_ns / 1e9
    return not 0 <= age < seconds
