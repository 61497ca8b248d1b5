"""How far a log reaches: by partition the first record that it holds, and the number of its next.

What lies between the next record to read and the end of the log is the lag.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np

from tasks.stream.folder import READ, folders, segments
from warehouse.settings import settings
from warehouse.streams import Stream

Ends = dict[int, tuple[int, int]]


class Reach(Protocol):
    """Asks a log how far it reaches."""

    def __call__(self) -> Ends:
        """Ask it now.

        Raises:
            SourceUnavailable: it does not answer.
        """

    def close(self) -> None:
        """Let go of what is held."""


class FolderReach:
    """Of the folder log; counts only what was appended since it last looked."""

    def __init__(self, folder: Path, partitions: int) -> None:
        """`folder`: of the topic."""
        self._folder, self._partitions = folder, partitions
        self._counted: dict[Path, tuple[int, int]] = {}  # bytes and lines

    def __call__(self) -> Ends:
        """See `Reach`."""
        known = folders(self._folder).keys() | set(range(self._partitions))
        return {n: self._of(n) for n in sorted(known)}

    def close(self) -> None:
        """Nothing is held open."""

    def _of(self, partition: int) -> tuple[int, int]:
        found = segments(self._folder / str(partition))
        if not found:
            return 0, 0
        first, path = found[-1]
        return found[0][0], first + self._lines(path)

    def _lines(self, path: Path) -> int:
        size, count = self._counted.get(path, (0, 0))
        with path.open("rb") as file:
            file.seek(size)
            while text := file.read(READ):
                ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 10)
                if not len(ends):
                    break
                # What is behind the last line feed is read again: it may still be torn off.
                size += int(ends[-1]) + 1
                count += len(ends)
                file.seek(size)
        self._counted[path] = size, count
        return count


class KafkaReach:
    """Of a topic."""

    def __init__(self, topic: str, answer_s: float) -> None:
        """`answer_s`: how long the broker may take."""
        from tasks.stream.kafka import KafkaLog

        self._log = KafkaLog(topic, answer_s=answer_s)

    def __call__(self) -> Ends:
        """See `Reach`."""
        return {one: self._log.ends(one) for one in self._log.partitions()}

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()


def open_reach(stream: Stream, answer_s: float = 10.0) -> Reach:
    """How to ask the log of a stream, which may take so many seconds to answer."""
    if settings().kafka_bootstrap:
        return KafkaReach(stream.topic, answer_s)
    return FolderReach(settings().stream_folder / stream.topic, stream.partitions)


def ends(stream: Stream, answer_s: float = 10.0) -> Ends:
    """How far the log of a stream reaches now.

    Raises:
        SourceUnavailable: it does not answer.
    """
    with closing(open_reach(stream, answer_s)) as ask:
        return ask()
