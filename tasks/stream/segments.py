"""Segments of the folder log that are old: which were read, and where a new one is to begin."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from tasks.stream.folder import FolderWriter, folders, segments
from warehouse.errors import Busy
from warehouse.settings import settings
from warehouse.streams import Stream


def old(stream: Stream, read: Mapping[int, int], since: float) -> list[tuple[Path, int]]:
    """Segments last written before a time (seconds since 1970), and their bytes.

    `read`: next offset by partition. Every record of them was read, and a newer segment is there,
    so that the log goes on from a known number.
    """
    found = []
    for number, folder in folders(_folder(stream)).items():
        known = segments(folder)
        for (_, path), (following, _) in pairwise(known):
            facts = path.stat()
            if following <= read.get(number, 0) and facts.st_mtime < since:
                found.append((path, facts.st_size))
    return found


def end_old(stream: Stream, since: float) -> None:
    """Have a new segment begin where the last one was written before a time and holds anything.

    A producer that is at work does so itself.
    """
    due = []
    for number, folder in folders(_folder(stream)).items():
        for _, path in segments(folder)[-1:]:
            facts = path.stat()
            # No producer writes into a partition beyond the spec's.
            if number < stream.partitions and facts.st_size > 0 and facts.st_mtime < since:
                due.append(number)
    if not due:
        return
    try:
        writer = FolderWriter(settings().stream_folder, stream.topic, stream.partitions)
    except Busy:
        return
    try:
        writer.rotate(due)
    finally:
        writer.close()


def _folder(stream: Stream) -> Path:
    return settings().stream_folder / stream.topic
