"""Which events count: each id once within the window, none later than the lateness allows.

What becomes of an event depends on the records before it in its partition alone, never on how they
fell into batches or on when a consumer was killed. So the same log gives the same figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from psycopg import sql

from tasks.arrays import mask, numbers, values
from tasks.duck import Duck
from tasks.stream.log import Slice
from tasks.stream.parse import Parsed, Parser, Refused
from warehouse.streams import Stream

LEVELS = 8  # batches of ids kept apart before they are put together
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Moved:
    """How far a batch moves one partition, and what became of its records.

    `first` is where the batch before it ended; a log may have no record at an offset.
    """

    partition: int
    first: int
    next_offset: int
    newest: int | None
    events: int
    counted: int
    late: int
    duplicates: int
    quarantined: int


@dataclass(frozen=True)
class Batch:
    """What one transaction writes. `events`: the valid ones, with `partition` and `_late`.

    `_late` is null for an event that counts, else by how much it was behind (microseconds).
    `folded` are the sums of those that count, `again` the times of duplicates (microseconds).
    """

    moves: list[Moved] = field(default_factory=list)
    events: pa.Table | None = None
    refused: list[Refused] = field(default_factory=list)
    folded: pa.Table | None = None
    again: list[int] = field(default_factory=list)


class Recent:
    """The ids that counted lately in one partition, as hashes, with their offsets."""

    def __init__(self, within: int, offsets: Ints, hashes: Hashes) -> None:
        self._within = within
        order = np.argsort(hashes, kind="stable")
        self._levels = [(hashes[order], offsets[order])] if len(hashes) else []

    def fresh(self, offsets: Ints, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Which of the next records are the first of their id; those are remembered."""
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        suspect = np.zeros(len(hashes), np.bool_)
        again = np.flatnonzero(ordered[1:] == ordered[:-1])
        suspect[order[again]] = suspect[order[again + 1]] = True
        for known, _ in self._levels:
            suspect |= known[self._at(known, hashes)] == hashes
        fresh = ~suspect
        last: dict[int, int] = {}
        for number in np.flatnonzero(suspect):
            one, offset = hashes[number], int(offsets[number])
            before = last.get(int(one), self._last(one))
            if before is None or offset - before > self._within:
                fresh[number] = True
                last[int(one)] = offset
        keep = fresh[order]
        self._add(ordered[keep], offsets[order][keep])
        return fresh

    @staticmethod
    def _at(known: Hashes, hashes: Any) -> Any:
        return np.minimum(np.searchsorted(known, hashes), len(known) - 1)

    def _last(self, one: np.uint64) -> int | None:
        """The newest offset at which an id counted."""
        found = []
        for known, offsets in self._levels:
            low, high = np.searchsorted(known, one, "left"), np.searchsorted(known, one, "right")
            found += offsets[low:high].tolist()
        return max(found, default=None)

    def _add(self, hashes: Hashes, offsets: Ints) -> None:
        if not len(hashes):
            return
        self._levels.append((hashes, offsets))
        if len(self._levels) > LEVELS:
            all_hashes = np.concatenate([level[0] for level in self._levels])
            all_offsets = np.concatenate([level[1] for level in self._levels])
            kept = all_offsets >= offsets.max() - self._within
            order = np.argsort(all_hashes[kept], kind="stable")
            self._levels = [(all_hashes[kept][order], all_offsets[kept][order])]


class Judge:
    """Judges the records of the partitions that a consumer holds; for one thread."""

    def __init__(
        self, stream: Stream, connection: psycopg.Connection[Any], positions: Mapping[int, int]
    ) -> None:
        """Take up from the positions (next offset by partition) that the database has."""
        self._stream = stream
        duck = Duck(threads=1)
        self._parse = Parser(stream, duck)
        self._newest = dict(connection.execute(
            "select partition, (extract(epoch from newest_at) * 1000000)::bigint"
            " from ops.stream_partitions where stream = %s and topic = %s",
            [stream.table, stream.topic],
        ))  # fmt: skip
        self._at = dict(positions)
        self._recent = {one: self._remembered(connection, duck, one) for one in positions}

    def _remembered(
        self, connection: psycopg.Connection[Any], duck: Duck, partition: int
    ) -> Recent:
        """The ids within the window, from bronze and from what is kept of its former days."""
        query = sql.SQL(
            'with since as (select next_offset - %(within)s as "offset" from ops.stream_partitions'
            " where (stream, topic, partition) = (%(stream)s, %(topic)s, %(partition)s))"
            ' select "offset", {} from {} where partition = %(partition)s and "offset" >='
            ' (select "offset" from since)'
            ' union all select "offset", id from ops.stream_ids'
            " where (stream, topic, partition) = (%(stream)s, %(topic)s, %(partition)s)"
            ' and "offset" >= (select "offset" from since)'
        ).format(sql.Identifier(self._stream.id), sql.Identifier("bronze", self._stream.table))
        rows = connection.execute(query, {
            "partition": partition, "within": self._stream.duplicates_within,
            "stream": self._stream.table, "topic": self._stream.topic,
        }).fetchall()  # fmt: skip
        ids = pa.table({"id": pa.array([one for _, one in rows], pa.string())})
        hashes = values(duck.ask("select hash(id) as hash from ids", ids=ids)["hash"], np.uint64)
        offsets = np.array([offset for offset, _ in rows], np.int64)
        return Recent(self._stream.duplicates_within, offsets, hashes)

    def __call__(self, slices: list[Slice]) -> Batch:
        """The batch that some slices make."""
        if not slices:
            return Batch()
        parsed = self._parse(slices)
        events, refused = in_time(self._stream, slices, parsed)
        at, hashes = values(events["_at"], np.int64), values(events["_hash"], np.uint64)
        offsets, records = (values(events[name], np.int64) for name in ("offset", "_record"))
        quarantined = Counter(one.partition for one in refused)
        # The events of a slice stand together.
        ends = np.searchsorted(records, np.cumsum([len(one.offsets) for one in slices]))
        begin, fresh, behind, moves = 0, list[Any](), list[Ints](), list[Moved]()
        for piece, end in zip(slices, ends.tolist(), strict=True):
            here, number = slice(begin, end), piece.partition
            begin = end
            fresh.append(self._recent[number].fresh(offsets[here], hashes[here]))
            behind.append(self._behind(number, at[here][fresh[-1]]))
            count, late = len(behind[-1]), int(np.count_nonzero(behind[-1]))
            moves.append(Moved(
                number, self._at[number], piece.next_offset, self._newest.get(number),
                len(piece.offsets), count - late, late, end - here.start - count,
                quarantined[number],
            ))  # fmt: skip
            self._at[number] = piece.next_offset
        again: list[int] = []
        if sum(map(len, behind)) < len(at):
            counts = np.concatenate(fresh)
            again, events = at[~counts].tolist(), events.filter(mask(counts))
        late_us = np.concatenate(behind)
        events = events.append_column("_late", numbers(late_us, late_us > 0))
        return Batch(moves, events, refused, again=again)

    def _behind(self, partition: int, at: Ints) -> Ints:
        """By how much each event is too late (microseconds), 0 where it is not."""
        if not len(at):
            return at
        before = self._newest.get(partition)
        # Nothing can be late before there was anything.
        start = at[0] if before is None else before
        newest = np.maximum.accumulate(np.concatenate(([start], at)))
        self._newest[partition] = int(newest[-1])
        behind = newest[:-1] - at
        return np.where(behind > self._stream.lateness * 1_000_000, behind, 0)


def in_time(stream: Stream, slices: list[Slice], parsed: Parsed) -> tuple[pa.Table, list[Refused]]:
    """Hold back what a wrong clock dated far ahead: it would make all that follows late."""
    events, refused = parsed.events, parsed.refused
    arrived = values(events["logged_at"], np.int64)
    early = values(events["_at"], np.int64) > arrived + stream.clock_ahead * 1_000_000
    if not early.any():
        return events, refused
    lines = b"".join(one.block for one in slices).split(b"\n")
    reason = f"{stream.time}: is ahead of its arrival by more than allowed"
    held = events.filter(mask(early)).select(["partition", "offset", "logged_at", "_record"])
    rows = zip(*(column.to_pylist() for column in held.columns), strict=True)
    refused = refused + [
        Refused(partition, offset, logged_at, reason, lines[number])
        for partition, offset, logged_at, number in rows
    ]
    return events.filter(mask(~early)), refused
