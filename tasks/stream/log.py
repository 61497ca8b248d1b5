"""What an event log is: partitions of records that never change, polled from positions.

Who reads says where from; the log keeps no positions. Those are in PostgreSQL, in one transaction
with what was made of the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from warehouse.settings import settings
from warehouse.streams import Stream


@dataclass(frozen=True)
class Slice:
    """Records of one partition, in order.

    `offsets` and `logged_at` (microseconds since 1970, UTC) have an entry a record, `block` a line
    a record, each with its line feed. `next_offset` is where to go on.
    """

    partition: int
    offsets: npt.NDArray[np.int64]
    logged_at: npt.NDArray[np.int64]
    block: bytes
    next_offset: int


def joined(slices: Sequence[Slice]) -> Slice:
    """Slices of one partition that follow each other, as one."""
    return Slice(
        slices[0].partition,
        np.concatenate([one.offsets for one in slices]),
        np.concatenate([one.logged_at for one in slices]),
        b"".join(one.block for one in slices),
        slices[-1].next_offset,
    )


class EventLog(Protocol):
    """A topic to read."""

    topic: str
    patience: float  # seconds without a record after which nothing is left

    def partitions(self) -> list[int]:
        """The partitions there are."""

    def poll(self, positions: Mapping[int, int], most: int, seconds: float) -> list[Slice]:
        """About `most` records from the positions (next offset by partition), once there are any.

        Empty after `seconds` without one. Reads no other partition than those.

        Raises:
            SourceUnavailable: a position is no longer in the log.
        """

    def close(self) -> None:
        """Let go of what is held."""


class EventWriter(Protocol):
    """A topic to append to."""

    def append(self, partition: int, lines: Iterable[bytes]) -> None:
        """Append records, each one line without its line feed."""

    def flush(self) -> None:
        """Return once all that was appended is safe."""

    def close(self) -> None:
        """Flush, and let go of what is held."""


def as_line(value: bytes | None) -> bytes:
    """A record on one line.

    A line feed becomes a carriage return: both are blanks between JSON's tokens, and neither may
    stand within a text, so that no record becomes valid or invalid by it.
    """
    return (value or b"").replace(b"\n", b"\r")


def open_log(stream: Stream) -> EventLog:
    """The log of a stream: Kafka where a broker is set, else the folder."""
    if settings().kafka_bootstrap:
        from tasks.stream.kafka import KafkaLog

        return KafkaLog(stream.topic)
    from tasks.stream.folder import FolderLog

    return FolderLog(settings().stream_folder, stream.topic, stream.partitions)


def open_writer(stream: Stream) -> EventWriter:
    """A writer into the log of a stream."""
    if settings().kafka_bootstrap:
        from tasks.stream.kafka import KafkaWriter, make_topic

        make_topic(stream.topic, stream.partitions)
        return KafkaWriter(stream.topic)
    from tasks.stream.folder import FolderWriter

    return FolderWriter(settings().stream_folder, stream.topic, stream.partitions)
