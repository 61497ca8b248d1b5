"""The monthly look at checkpoints: do the log and the database still fit, and what is left over.

What no partition needs any more is cleared: leases of dead consumers, reports of runs long over,
ids outside the window of duplicates. What a person must decide is told and left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from tasks.stream.ends import Ends, ends
from tasks.stream.kept import OLD_IDS
from warehouse.database import connect
from warehouse.errors import SourceUnavailable
from warehouse.settings import settings
from warehouse.streams import Stream

RUN_DAYS = 90


@dataclass(frozen=True)
class Reviewed:
    """Faults in words, each with what to do; and how many leftovers of each kind were cleared."""

    faults: list[str]
    cleared: dict[str, int]


def review(stream: Stream) -> Reviewed:
    """Look, and clear what nothing needs."""
    with connect() as connection:
        cleared = {name: _clear(connection, stream, name) for name in CLEAR}
        places = connection.execute(PLACES, {"stream": stream.table}).fetchall()
    try:
        reach = ends(stream)
    except SourceUnavailable as error:
        return Reviewed([str(error)], cleared)
    return Reviewed([*_faults(stream, places, reach)], cleared)


def _clear(connection: psycopg.Connection[Any], stream: Stream, name: str) -> int:
    return connection.execute(
        CLEAR[name].encode(),
        {
            "stream": stream.table, "topic": stream.topic, "within": stream.duplicates_within,
            "lease": settings().stream_lease_s, "days": RUN_DAYS,
        },
    ).rowcount  # fmt: skip


def _faults(stream: Stream, places: list[Any], reach: Ends) -> Iterator[str]:
    """Where the log and the positions do not fit."""
    for topic, partition, position in places:
        here = f"partition {partition} of {topic}"
        if topic != stream.topic:
            yield f"{here} was read to {position:,}; the stream's topic is {stream.topic} now."
        elif partition not in reach:
            yield f"{here} was read to {position:,}, and the log has no such partition."
        elif position < reach[partition][0]:
            since = reach[partition][0]
            yield (
                f"{here}: the log begins at {since:,}, {since - position:,} records after the next"
                " one to be read. Put them back, or restore the log."
            )
        elif position > reach[partition][1]:
            upto = reach[partition][1]
            yield (
                f"{here}: the next record to be read is {position:,}, and the log ends at {upto:,}."
                " It is a younger log than the database knows; put the former one back."
            )
    missing = stream.partitions - len(reach)
    if missing > 0:
        yield f"{stream.topic} has {len(reach)} partitions; its spec says {stream.partitions}."


PLACES = """
select topic, partition, next_offset from ops.stream_partitions where stream = %(stream)s
order by 1, 2
"""
CLEAR = {
    "leases of dead consumers": """
        update ops.stream_partitions set consumer = null, held_until = null
        where stream = %(stream)s and held_until < now() - make_interval(secs => 2 * %(lease)s)
    """,
    "dead consumers": """
        delete from ops.stream_consumers
        where stream = %(stream)s and seen_at < now() - make_interval(secs => 2 * %(lease)s)
    """,
    "reports of former runs": """
        delete from ops.stream_runs r
        where stream = %(stream)s and reported_at < now() - make_interval(days => %(days)s)
            and exists (select from ops.stream_runs n
                where n.stream = r.stream and n.reported_at > r.reported_at)
    """,
    "ids that can come no more": OLD_IDS,
}
