"""Send events into a log at a pace."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from tasks.stream.log import EventWriter
from tasks.stream.sales import Sent

AT_ONCE = 2_000  # messages appended together at most, where nothing paces them
FLUSH_S = 0.5  # between two flushes


def paced(messages: Iterable[Sent], rate: float, burst: int) -> Iterator[list[Sent]]:
    """Messages in bursts, so many a second on average."""
    remaining, began, sent = iter(messages), time.monotonic(), 0
    while found := list(islice(remaining, burst)):
        time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        sent += len(found)
        yield found


def timed(messages: Iterable[Sent], speed: float) -> Iterator[list[Sent]]:
    """Messages by their own times, `speed` times as fast as they happened."""
    began, first, due = time.monotonic(), None, list[Sent]()
    for one in messages:
        first = first or one.at
        at = began + (one.at - first).total_seconds() / speed
        if due and (at > time.monotonic() or len(due) >= AT_ONCE):
            yield due
            due = []
        time.sleep(max(0.0, at - time.monotonic()))
        due.append(one)
    if due:
        yield due


def at_once(messages: Iterable[Sent]) -> Iterator[list[Sent]]:
    """Messages as fast as they are taken."""
    remaining = iter(messages)
    while found := list(islice(remaining, AT_ONCE)):
        yield found


def produce(
    writer: EventWriter,
    bursts: Iterable[list[Sent]],
    stop: threading.Event | None = None,
    most: int | None = None,
) -> int:
    """Append bursts until they end, at `most` so many messages, or until told to stop; how many."""
    count, flushed = 0, 0.0
    for burst in bursts:
        if most is not None:
            burst = burst[: most - count]  # noqa: PLW2901 - what is too much is not sent
        by_partition = defaultdict[int, list[bytes]](list)
        for one in burst:
            by_partition[one.partition].append(one.line)
        for partition, lines in by_partition.items():
            writer.append(partition, lines)
        count += len(burst)
        if time.monotonic() - flushed > FLUSH_S:
            writer.flush()
            flushed = time.monotonic()
        if (stop and stop.is_set()) or count == most:
            break
    writer.flush()
    return count
