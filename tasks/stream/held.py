"""Messages that are no event: how many and why, and their second trial, as they are or mended.

What is an event by then counts as late, since its day's sums are made: it is shown with the late
ones, and `restate` folds it in. It is one transaction; what fails changes nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from psycopg import sql

from tasks.arrays import mask, numbers, values
from tasks.duck import Duck
from tasks.export import whole
from tasks.stream.judge import Recent, in_time
from tasks.stream.kept import still
from tasks.stream.log import Slice, as_line
from tasks.stream.parse import Parser
from tasks.stream.write import note_duplicates, write_late
from tasks.writers import Field, to_csv
from warehouse.database import connect
from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.sheets import plain_text
from warehouse.streams import Stream

PIECE = 1_000  # messages in memory at a time: each may be a megabyte
COLUMNS = (Field("_partition", "bigint"), Field("_offset", "bigint"), Field("_arrived"),
           Field("_fault"), Field("message"))  # fmt: skip
PLACE = re.compile(r"[0-9]{1,18}")  # what a bigint holds
ENDS = re.compile(r"\r\n?")
REMEDY = "Start from a fresh export, edit the column message only, and save as CSV in UTF-8."
TOTALS = """
select reason, count(*), min(logged_at), max(logged_at) from {} where topic = %s
group by reason order by 2 desc, 1
"""
HELD = """
select partition, "offset", (extract(epoch from logged_at) * 1000000)::bigint, logged_at, reason,
    message
from {} where topic = %(topic)s
    and (%(some)s is false or (partition, "offset") in (
        select * from unnest(%(partitions)s::integer[], %(offsets)s::bigint[])))
order by partition, "offset"
"""
NEWEST = """
select partition, (extract(epoch from newest_at) * 1000000)::bigint from ops.stream_partitions
where (stream, topic) = (%s, %s)
"""
KNOWN = """
with e as (select * from unnest(%(partitions)s::integer[], %(offsets)s::bigint[], %(ids)s::text[])
    with ordinality as each (partition, "offset", id, n))
select e.n from e join {bronze} b on (b.partition, b.{id}) = (e.partition, e.id)
    and abs(b."offset" - e."offset") <= %(within)s
where b."offset" between %(first)s - %(within)s and %(last)s + %(within)s
union select e.n from e join ops.stream_ids i on (i.partition, i.id) = (e.partition, e.id)
    and abs(i."offset" - e."offset") <= %(within)s
where (i.stream, i.topic) = (%(stream)s, %(topic)s)
"""
GONE = """
delete from {} where topic = %s and (partition, "offset") in (
    select * from unnest(%s::integer[], %s::bigint[]))
"""
COUNT = """
update ops.stream_partitions set quarantined = quarantined - %(late)s - %(duplicates)s,
    late = late + %(late)s, duplicates = duplicates + %(duplicates)s, moved_at = now()
where (stream, topic, partition) = (%(stream)s, %(topic)s, %(partition)s)
"""


class Total(NamedTuple):
    """How many messages a reason holds back, and when the first and the last of them arrived."""

    reason: str
    messages: int
    first: dt.datetime
    last: dt.datetime


@dataclass
class Replayed:
    """What became of messages: late events, duplicates of others, and no event still, by reason."""

    late: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Held(NamedTuple):
    """A message in quarantine; `logged_us` is in microseconds since 1970."""

    partition: int
    offset: int
    logged_us: int
    logged_at: dt.datetime
    reason: str
    message: bytes


class Mended(NamedTuple):
    """A row of an edited export: its line there, and the message as it stands now."""

    line: int
    message: str


Mending = dict[tuple[int, int], Mended]


def totals(stream: Stream) -> list[Total]:
    """What holds messages back, the most first."""
    with connect() as connection:
        found = connection.execute(sql.SQL(TOTALS).format(_table(stream)), [stream.topic])
        return [Total(*row) for row in found]


def export(stream: Stream, to: Path) -> int:
    """Write the messages to a CSV file that a person may edit, and only its owner may read.

    Raises:
        ConfigurationError: the place cannot be written.
    """
    with connect() as connection, whole(to, 0o600) as draft:
        rows = (
            (str(one.partition), str(one.offset), one.logged_at.isoformat(), one.reason,
             _shown(one.message))
            for piece in _pieces(connection, stream, None)
            for one in piece
        )  # fmt: skip
        return to_csv(draft, COLUMNS, rows)


def replay(stream: Stream, path: Path | None = None) -> Replayed:
    """Judge messages again by the schema of today: all as they are, or those of an edited export.

    Raises:
        SourceUnavailable: there is no such file.
        SourceMalformed: it is no such export, or a row's message is not in quarantine (any more).
        Busy: a rebuild, a restatement or retention is under way.
    """
    mending = read_mended(path) if path else None
    with connect() as connection:
        still(connection, stream)
        trial = Trial(connection, stream)
        missing = dict(mending or {})
        for piece in _pieces(connection, stream, mending):
            for one in piece:
                missing.pop((one.partition, one.offset), None)
            trial([_as_mended(one, mending or {}) for one in piece])
        for (partition, offset), row in missing.items():
            message = f"record {offset} of partition {partition} is not in quarantine."
            raise SourceMalformed(path or "", message, line=row.line, remedy=REMEDY)
        return trial.done


def _pieces(
    connection: psycopg.Connection[Any], stream: Stream, mending: Mending | None
) -> Iterator[list[Held]]:
    """The messages, or those that were mended, in the order of their offsets."""
    places = list(mending or {})
    facts = {
        "topic": stream.topic, "some": mending is not None,
        "partitions": [p for p, _ in places], "offsets": [o for _, o in places],
    }  # fmt: skip
    with connection.cursor("held") as cursor:
        cursor.execute(sql.SQL(HELD).format(_table(stream)), facts)
        while rows := cursor.fetchmany(PIECE):
            yield [Held(*row) for row in rows]


def _table(stream: Stream) -> sql.Identifier:
    return sql.Identifier("quarantine", stream.table)


class Trial:
    """Judges messages anew within a transaction, and writes what became of them to `done`."""

    def __init__(self, connection: psycopg.Connection[Any], stream: Stream) -> None:
        self.done = Replayed()
        self._connection, self._stream = connection, stream
        self._parse = Parser(stream, Duck(threads=1))
        self._newest = dict(connection.execute(NEWEST, [stream.table, stream.topic]).fetchall())
        nothing = np.empty(0, np.int64), np.empty(0, np.uint64)
        self._recent = {p: Recent(stream.duplicates_within, *nothing) for p in self._newest}

    def __call__(self, piece: list[Held]) -> None:
        """Some messages in the order of their offsets, after those before."""
        slices = list(_slices(piece))
        events, refused = in_time(self._stream, slices, self._parse(slices))
        self.done.refused.update(one.reason for one in refused)
        if not events.num_rows:
            return
        fresh = self._fresh(events)
        late, again = events.filter(mask(fresh)), events.filter(mask(~fresh))
        if late.num_rows:
            write_late(self._connection, self._stream, self._behind(late))
        note_duplicates(self._connection, self._stream, values(again["_at"], np.int64).tolist())
        self._count(events, late, again)

    def _fresh(self, events: pa.Table) -> npt.NDArray[np.bool_]:
        """Which events are the first of their id within the window, before and after them."""
        offsets, hashes = values(events["offset"], np.int64), values(events["_hash"], np.uint64)
        known = self._connection.execute(
            sql.SQL(KNOWN).format(
                bronze=sql.Identifier("bronze", self._stream.table),
                id=sql.Identifier(self._stream.id),
            ),
            {
                "partitions": events["partition"].to_pylist(), "offsets": offsets.tolist(),
                "ids": events[self._stream.id].to_pylist(),
                "first": int(offsets.min()), "last": int(offsets.max()),
                "within": self._stream.duplicates_within,
                "stream": self._stream.table, "topic": self._stream.topic,
            },
        ).fetchall()  # fmt: skip
        fresh = np.ones(events.num_rows, np.bool_)
        fresh[[number - 1 for (number,) in known]] = False
        of = values(events["partition"], np.int64)
        for partition in np.unique(of):
            here = np.flatnonzero(fresh & (of == partition))
            fresh[here] = self._recent[int(partition)].fresh(offsets[here], hashes[here])
        return fresh

    def _behind(self, late: pa.Table) -> pa.Table:
        """The events with `_late`: by how much they are behind what is newest today."""
        at = late["_at"].to_pylist()
        newest = [self._newest[one] for one in late["partition"].to_pylist()]
        behind = [max(0, (now or then) - then) for now, then in zip(newest, at, strict=True)]
        return late.append_column("_late", numbers(np.array(behind, np.int64)))

    def _count(self, events: pa.Table, late: pa.Table, again: pa.Table) -> None:
        """Take the events out of quarantine, and have the partitions' counts say what they are."""
        places = [events[name].to_pylist() for name in ("partition", "offset")]
        self._connection.execute(
            sql.SQL(GONE).format(_table(self._stream)), [self._stream.topic, *places]
        )
        was_late, was_again = (Counter(one["partition"].to_pylist()) for one in (late, again))
        for partition in set(places[0]):
            facts = {
                "stream": self._stream.table, "topic": self._stream.topic, "partition": partition,
                "late": was_late[partition], "duplicates": was_again[partition],
            }  # fmt: skip
            self._connection.execute(COUNT, facts)
        self.done.late += late.num_rows
        self.done.duplicates += again.num_rows


def _slices(piece: Iterable[Held]) -> Iterator[Slice]:
    for partition, found in groupby(piece, itemgetter(0)):
        rows = list(found)
        offsets = np.array([one.offset for one in rows], np.int64)
        logged = np.array([one.logged_us for one in rows], np.int64)
        block = b"".join(as_line(one.message) + b"\n" for one in rows)
        yield Slice(partition, offsets, logged, block, int(offsets[-1]) + 1)


# The edited export -------------------------------------------------------------------------------


def read_mended(path: Path) -> Mending:
    """The rows of an export that a person may have edited, by partition and offset.

    Raises:
        SourceUnavailable: there is no such file.
        SourceMalformed: it is no such export.
    """
    from pyarrow import csv

    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror}.", remedy="Name an export.") from error
    first = text.partition(b"\n")[0].decode(errors="replace")
    delimiter = max(",;\t", key=first.count)
    wanted = {one.name: pa.string() for one in COLUMNS}
    try:
        found = csv.read_csv(
            pa.py_buffer(text),
            csv.ReadOptions(block_size=len(text) + 1),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            csv.ConvertOptions(column_types=wanted, include_columns=list(wanted)),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        message = f"is no export of messages: {str(error).partition(chr(10))[0]}"
        raise SourceMalformed(path, message, remedy=REMEDY) from error
    return _by_place(path, found)


def _by_place(path: Path, table: pa.Table) -> Mending:
    found: Mending = {}
    for line, row in enumerate(table.to_pylist(), 2):
        names = row["_partition"], row["_offset"]
        if not all(PLACE.fullmatch(name) for name in names):
            message = f"{' '.join(names)!r} is no place of a message."
            raise SourceMalformed(path, message, line=line, column="_offset", remedy=REMEDY)
        place = int(names[0]), int(names[1])
        if place in found:
            message = f"its message stands on line {found[place].line}, too."
            raise SourceMalformed(path, message, line=line, remedy=REMEDY)
        found[place] = Mended(line, plain_text(row["message"]))
    return found


def _as_mended(one: Held, mending: Mending) -> Held:
    row = mending.get((one.partition, one.offset))
    if row is None or ENDS.sub("\n", row.message) == ENDS.sub("\n", _shown(one.message)):
        return one
    return one._replace(message=row.message.encode())


def _shown(message: bytes) -> str:
    """The message as text; bytes that are none as in `\\xe9`."""
    return message.decode(errors="backslashreplace")
