"""The embedded event log: a folder of append-only JSON-lines segments.

`<folder>/<topic>/<partition>/<number of its first record>.jsonl`; an offset is the number of a
record. A line without its line feed was torn by a kill: no reader takes it, and the next writer
cuts it off. One writer a topic.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from io import FileIO
from pathlib import Path

import numpy as np

from tasks.stream.log import Slice, as_line
from warehouse.errors import Busy, ConfigurationError, SourceUnavailable
from warehouse.settings import settings

SEGMENT = 64 << 20  # bytes after which a new one begins
READ = 4 << 20  # most bytes read of a partition at a time
RECORD = 320  # bytes that most records have at most
NAP_S = 0.02


def folders(topic: Path) -> dict[int, Path]:
    """A topic's partitions that were written; what else somebody laid beside them is none."""
    found = (path for path in topic.glob("[0-9]*") if path.name.isdecimal() and path.is_dir())
    return {int(path.name): path for path in sorted(found)}


def segments(folder: Path) -> list[tuple[int, Path]]:
    """A partition's segments: number of the first record, and file."""
    found = (path for path in folder.glob("*.jsonl") if path.stem.isdecimal())
    return sorted((int(path.stem), path) for path in found)


def _lines(text: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == 10))


@dataclass
class _Place:
    """Where the next record of a partition stands."""

    offset: int
    segment: Path
    byte: int


class FolderLog:
    """Reads a topic."""

    patience = 0.0

    def __init__(self, folder: Path, topic: str, partitions: int) -> None:
        self.topic = topic
        self._folder = folder / topic
        self._count = partitions
        self._places: dict[int, _Place] = {}

    def partitions(self) -> list[int]:
        """The declared ones, and any other that was written."""
        return sorted(folders(self._folder).keys() | set(range(self._count)))

    def poll(self, positions: Mapping[int, int], most: int, seconds: float) -> list[Slice]:
        """Records from the positions; see `EventLog`."""
        until = time.monotonic() + seconds
        share = max(1, most // max(1, len(positions)))
        while True:
            found = [self._tried(partition, at, share) for partition, at in positions.items()]
            slices = [one for one in found if one]
            if slices or time.monotonic() >= until:
                return slices
            time.sleep(NAP_S)

    def close(self) -> None:
        """Nothing is held open."""

    def _tried(self, partition: int, offset: int, most: int) -> Slice | None:
        try:
            return self._read(partition, offset, most)
        except FileNotFoundError:  # retention let the segment go, whose end we stood at
            self._places.pop(partition, None)
            return None

    def _read(self, partition: int, offset: int, most: int) -> Slice | None:
        place = self._place(partition, offset)
        if place is None:
            return None
        text, count = _whole_lines(place, most)
        if not text:
            later = [s for s in segments(place.segment.parent) if s[0] > int(place.segment.stem)]
            # The next one begins where this ends: what is beyond its last line feed was torn.
            if not later or later[0][0] != place.offset:
                return None
            place.segment, place.byte = later[0][1], 0
            text, count = _whole_lines(place, most)
        if not text:
            return None
        place.offset += count
        place.byte += len(text)
        now = np.full(count, int(time.time() * 1_000_000), np.int64)
        return Slice(partition, np.arange(offset, offset + count), now, text, offset + count)

    def _place(self, partition: int, offset: int) -> _Place | None:
        """Where a record stands; None where nothing was written yet."""
        place = self._places.get(partition)
        if place and place.offset == offset:
            return place
        found = segments(self._folder / str(partition))
        if not found and not offset:
            return None
        first, path = next(((n, p) for n, p in reversed(found) if n <= offset), (None, None))
        if first is None or path is None:
            raise self._gone(partition, offset)
        byte = _byte_of(path, offset - first)
        if byte is None:
            raise self._gone(partition, offset)
        self._places[partition] = _Place(offset, path, byte)
        return self._places[partition]

    def _gone(self, partition: int, offset: int) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self._folder}: record {offset} of partition {partition} is not in the log.",
            remedy="Put its segments back; the database has taken all before that record.",
        )


def _whole_lines(place: _Place, most: int) -> tuple[bytes, int]:
    """At most so many whole lines from a place on, and their number."""
    size = min(READ, most * RECORD)
    with place.segment.open("rb") as file:
        file.seek(place.byte)
        text = file.read(size)
        while text and b"\n" not in text and (more := file.read(READ)):
            text += more  # a line longer than what is read at a time
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 10)[:most]
    return (text[: int(ends[-1]) + 1], len(ends)) if len(ends) else (b"", 0)


def _byte_of(path: Path, record: int) -> int | None:
    """Where a segment's record begins; None where the segment is shorter."""
    byte = 0
    with path.open("rb") as file:
        while record:
            text = file.read(READ)
            if not text:
                return None
            ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 10)
            if len(ends) >= record:
                return byte + int(ends[record - 1]) + 1
            record -= len(ends)
            byte += len(text)
    return byte


class FolderWriter:
    """Appends to a topic.

    By the setting `stream_fsync`, what was appended is on disk at every flush, when a segment is
    full, or when the system sees fit. A kill of the process loses nothing that was appended.
    """

    def __init__(
        self, folder: Path, topic: str, partitions: int, *, segment: int = SEGMENT
    ) -> None:
        """Cut off what a kill has torn.

        Raises:
            Busy: another process writes into the topic.
            ConfigurationError: nothing can be written there.
        """
        self._segment = segment
        self._folder = folder / topic
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / "lock").open("w")
        except OSError as error:
            raise ConfigurationError(
                f"{self._folder} cannot be written: {error.strerror}.",
                remedy="Give this account the folder, or set CARREL_STREAM_LOG elsewhere.",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Busy(
                f"Another producer writes into {self._folder}.", remedy="Wait for it, or stop it."
            ) from None
        self._ends = {n: _End(self._folder / str(n)) for n in range(partitions)}

    def append(self, partition: int, lines: Iterable[bytes]) -> None:
        """Append records; see `EventWriter`."""
        end = self._ends[partition]
        # A segment a day at least: what retention lets go of are whole ones.
        if end.bytes >= self._segment or (end.bytes and end.day != date.today()):
            self.rotate([partition])
        end.write([as_line(line) for line in lines])

    def rotate(self, partitions: Iterable[int]) -> None:
        """Have new segments begin."""
        for one in partitions:
            self._ends[one].rotate(sync=settings().stream_fsync != "never")

    def flush(self) -> None:
        """Have it on disk, if that is the policy."""
        if settings().stream_fsync == "flush":
            for end in self._ends.values():
                os.fsync(end.file.fileno())

    def close(self) -> None:
        """Flush, and let others write."""
        self.flush()
        for end in self._ends.values():
            end.file.close()
        self._lock.close()


class _End:
    """The last segment of a partition, open for appending."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        found = segments(folder)
        first, path = found[-1] if found else (0, folder / f"{0:020d}.jsonl")
        text = path.read_bytes() if path.exists() else b""
        whole = text.rfind(b"\n") + 1
        self.day = date.fromtimestamp(path.stat().st_mtime) if path.exists() else date.today()
        self.file: FileIO = path.open("ab", buffering=0)
        if whole < len(text):
            self.file.truncate(whole)
        self.bytes, self.next_offset = whole, first + _lines(text)

    def write(self, lines: list[bytes]) -> None:
        text = memoryview(b"".join(line + b"\n" for line in lines))
        self.bytes += len(text)
        self.next_offset += len(lines)
        while text:
            text = text[self.file.write(text) or 0 :]

    def rotate(self, *, sync: bool) -> None:
        if sync:
            os.fsync(self.file.fileno())
        folder = Path(str(self.file.name)).parent
        self.file.close()
        self.file = (folder / f"{self.next_offset:020d}.jsonl").open("ab", buffering=0)
        self.bytes, self.day = 0, date.today()
