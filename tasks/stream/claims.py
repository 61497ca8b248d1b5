"""Who reads which partition: the database deals them out, and refuses who was taken for dead.

A consumer takes its fair share, keeps it by being heard of, and lets go of what another one is due.
Each taking raises the partition's epoch; a batch must come with the epoch of its taking and begin
where the last one ended, so that a zombie's batch is refused whole.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

import psycopg

from tasks.stream.judge import Moved
from warehouse.settings import settings
from warehouse.streams import Stream


class Fenced(Exception):
    """Another consumer has taken a partition meanwhile; what was not committed is its to do."""


@dataclass(frozen=True)
class Hold:
    """A partition that is ours: the epoch of its taking, and where to go on."""

    epoch: int
    next_offset: int


class Claims:
    """The share of one consumer."""

    def __init__(self, stream: Stream) -> None:
        self.held: dict[int, Hold] = {}
        self._key = {
            "stream": stream.table, "topic": stream.topic, "me": uuid.uuid4(),
            "lease": settings().stream_lease_s,
        }  # fmt: skip

    def settle(self, connection: psycopg.Connection[Any], known: Iterable[int]) -> dict[int, Hold]:
        """Be heard of, let go of what is too much, take what is due; what is `held` then."""
        with connection.transaction():
            self._ask(connection, DECLARE, known=list(known))
            consumers = self._ask(connection, HEARD, host=socket.gethostname(), pid=os.getpid())
            partitions = self._ask(connection, COUNT)[0][0]
            share = ceil(partitions / max(1, len(consumers)))
            self._ask(connection, RELEASE, share=share)
            self._ask(connection, TAKE, share=share)
            self.held = {p: Hold(epoch, at) for p, epoch, at in self._ask(connection, OURS)}
            return self.held

    def move(self, connection: psycopg.Connection[Any], moves: list[Moved]) -> None:
        """Move our partitions on, within the batch's transaction.

        Raises:
            Fenced: one of them is another consumer's now.
        """
        for one in sorted(moves, key=lambda m: m.partition):
            facts = vars(one) | {"epoch": self.held[one.partition].epoch}
            if not self._ask(connection, MOVE, **facts):
                raise Fenced(f"partition {one.partition} was taken by another consumer")

    def leave(self, connection: psycopg.Connection[Any]) -> None:
        """Let others have it all."""
        with connection.transaction():
            self._ask(connection, LEAVE)

    def _ask(self, connection: psycopg.Connection[Any], query: str, **more: Any) -> list[Any]:
        cursor = connection.execute(query.encode(), self._key | more)
        return cursor.fetchall() if cursor.description else []


DECLARE = """
insert into ops.stream_partitions (stream, topic, partition)
select %(stream)s, %(topic)s, unnest(%(known)s::integer[]) on conflict do nothing
"""
HEARD = """
with gone as (
    delete from ops.stream_consumers
    where seen_at < now() - make_interval(secs => %(lease)s) and consumer <> %(me)s
),
us as (
    insert into ops.stream_consumers (consumer, stream, host, pid, seen_at)
    values (%(me)s, %(stream)s, %(host)s, %(pid)s, now())
    on conflict (consumer) do update set seen_at = now()
)
select consumer from ops.stream_consumers
where stream = %(stream)s and seen_at >= now() - make_interval(secs => %(lease)s)
union select %(me)s
"""
COUNT = """
select count(*) from ops.stream_partitions where (stream, topic) = (%(stream)s, %(topic)s)
"""
RELEASE = """
update ops.stream_partitions set consumer = null, held_until = null
where (stream, topic) = (%(stream)s, %(topic)s) and partition in (
    select partition from ops.stream_partitions
    where (stream, topic) = (%(stream)s, %(topic)s) and consumer = %(me)s
    order by partition offset %(share)s
)
"""
TAKE = """
with ours as (
    update ops.stream_partitions set held_until = now() + make_interval(secs => %(lease)s)
    where (stream, topic) = (%(stream)s, %(topic)s) and consumer = %(me)s returning partition
),
due as (
    select partition from ops.stream_partitions
    where (stream, topic) = (%(stream)s, %(topic)s) and consumer is distinct from %(me)s
        and (consumer is null or held_until < now())
    order by partition for update skip locked
    limit greatest(0, %(share)s - (select count(*) from ours))
)
update ops.stream_partitions set consumer = %(me)s, epoch = epoch + 1,
    held_until = now() + make_interval(secs => %(lease)s)
where (stream, topic) = (%(stream)s, %(topic)s) and partition in (select partition from due)
"""
OURS = """
select partition, epoch, next_offset from ops.stream_partitions
where (stream, topic) = (%(stream)s, %(topic)s) and consumer = %(me)s
"""
MOVE = """
update ops.stream_partitions set
    next_offset = %(next_offset)s, moved_at = now(),
    newest_at = timestamptz 'epoch' + %(newest)s * interval '1 microsecond',
    events = events + %(events)s, counted = counted + %(counted)s, late = late + %(late)s,
    duplicates = duplicates + %(duplicates)s, quarantined = quarantined + %(quarantined)s,
    held_until = now() + make_interval(secs => %(lease)s)
where (stream, topic) = (%(stream)s, %(topic)s) and (partition, epoch) = (%(partition)s, %(epoch)s)
    and next_offset = %(first)s
returning partition
"""
LEAVE = """
with gone as (delete from ops.stream_consumers where consumer = %(me)s)
update ops.stream_partitions set consumer = null, held_until = null
where (stream, topic) = (%(stream)s, %(topic)s) and consumer = %(me)s
"""
