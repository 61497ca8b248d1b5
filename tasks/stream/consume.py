"""One event's way: polled from the log, parsed and judged, folded, written in one transaction.

Reading, judging, folding and writing overlap on four threads, each at most one batch ahead: when
the database is slow, nothing piles up. After any failure the consumer takes up where the database
says it stands; what was under way is forgotten and read again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from tasks.ahead import ahead
from tasks.stream.claims import Claims, Fenced, Hold
from tasks.stream.fold import Fold
from tasks.stream.judge import Batch, Judge
from tasks.stream.log import EventLog, Slice, open_log
from tasks.stream.write import on_time, write
from warehouse import stream_tables, streams
from warehouse.database import connect
from warehouse.errors import CarrelError, SourceUnavailable, said
from warehouse.settings import settings
from warehouse.streams import Stream

log = logging.getLogger(__name__)
POLL_S = 0.25
BEAT_S = 0.1  # between two batches, where few events come: a batch has a price of its own
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
PASSING = (psycopg.OperationalError, psycopg.InterfaceError, SourceUnavailable)


class Respecified(Exception):
    """The stream's spec is another now."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(f"the spec of {stream.table} is another now")
        self.stream = stream


def consume(
    stream: Stream,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    told: Callable[[Batch], None] | None = None,
) -> None:
    """Consume until told to stop, or `once`: until nothing is left to read.

    A spec that was changed holds from the `carrel migrate` or rebuild on that follows the change.
    `told` is called with each batch after its commit. What passes (a broker or a database that is
    away) is waited for, with growing pauses, unless it is for `once`.

    Raises:
        SourceUnavailable, psycopg.OperationalError: for `once` only.
    """
    stop, claims, pause = stop or threading.Event(), Claims(stream), FIRST_PAUSE_S
    while not stop.is_set():
        try:
            with connect(autocommit=True) as connection, closing(open_log(stream)) as events:
                try:
                    for batch in Consumer(stream, events, connection, claims, once, stop).batches():
                        pause = FIRST_PAUSE_S
                        if told:
                            told(batch)
                    return
                finally:
                    with suppress(psycopg.Error):
                        claims.leave(connection)
        except Respecified as news:
            log.info("the stream goes by its new spec", extra={"stream": stream.table})
            stream, claims = news.stream, Claims(news.stream)
        except PASSING as error:
            if once:
                raise
            log.warning("the stream waits", extra={"stream": stream.table, "error": said(error)})
            stop.wait(pause)
            # The embedded database comes up on another port where its own was taken meanwhile.
            settings.cache_clear()
            pause = min(LONGEST_PAUSE_S, 2 * pause)


@dataclass(frozen=True)
class Consumer:
    """One consumer on one connection; any failure ends it."""

    stream: Stream
    events: EventLog
    connection: psycopg.Connection[Any]
    claims: Claims
    once: bool
    stop: threading.Event

    def batches(self) -> Iterator[Batch]:
        """Each batch after its commit; partitions are dealt out anew now and then."""
        lease = settings().stream_lease_s
        last = time.monotonic()
        while not self.stop.is_set():
            held = self._settled()
            due = time.monotonic() + lease / 4
            try:
                for batch in ahead(self._folded(held)):
                    if batch.moves:
                        write(self.connection, self.stream, self.claims, batch)
                        last = time.monotonic()
                        yield batch
                    if self.stop.is_set():
                        return
                    if time.monotonic() >= due:
                        due = time.monotonic() + lease / 4
                        if _epochs(self._settled()) != _epochs(held):
                            break
                else:
                    # Nothing is left to read of ours; what a killed consumer holds falls to us.
                    if len(held) == len(self.events.partitions()) or last + 2 * lease < due:
                        return
                    self.stop.wait(lease / 4)
            except Fenced as fault:
                log.warning("fenced", extra={"stream": self.stream.table, "error": str(fault)})
            self._heed_spec()

    def _heed_spec(self) -> None:
        """Whoever changes a stream takes our partitions away for it: look at the spec again.

        Another topic is none of ours: what is left in this one must not be forgotten.

        Raises:
            Respecified: it is another, and the tables have all that it needs.
        """
        try:
            now = streams.stream(self.stream.table)
            if now == self.stream or now.topic != self.stream.topic:
                return
            ready = not stream_tables.lacking(self.connection, now)
        except CarrelError as error:
            log.warning("the spec stays", extra={"stream": self.stream.table, "error": str(error)})
            return
        if ready:
            raise Respecified(now)

    def _settled(self) -> dict[int, Hold]:
        return self.claims.settle(self.connection, self.events.partitions())

    def _polled(self, held: dict[int, Hold]) -> Iterator[list[Slice]]:
        """Slices from where the database stands; an empty list now and then if none come."""
        positions = _positions(held)
        patience = self.events.patience if self.once else POLL_S
        most = settings().stream_batch
        while True:
            begun = time.monotonic()
            slices = self.events.poll(positions, most, patience)
            positions |= {one.partition: one.next_offset for one in slices}
            if self.once and not slices:
                return
            yield slices
            if not self.once and sum(len(one.offsets) for one in slices) < most // 2:
                self.stop.wait(begun + BEAT_S - time.monotonic())

    def _judged(self, held: dict[int, Hold]) -> Iterator[Batch]:
        with connect() as beside:
            judge = Judge(self.stream, beside, _positions(held))
        yield from map(judge, ahead(self._polled(held)))

    def _folded(self, held: dict[int, Hold]) -> Iterator[Batch]:
        """Each batch judged, with the sums of what counts."""
        fold = Fold(self.stream)
        for batch in ahead(self._judged(held)):
            counted = on_time(batch)
            yield batch if counted is None else replace(batch, folded=fold(counted))


def _epochs(held: dict[int, Hold]) -> dict[int, int]:
    return {partition: hold.epoch for partition, hold in held.items()}


def _positions(held: dict[int, Hold]) -> dict[int, int]:
    return {partition: hold.next_offset for partition, hold in held.items()}
