"""The stream's part of `carrel doctor`: broker or folder, topic, lag, and whether anyone reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg

from warehouse.errors import CarrelError, ConfigurationError
from warehouse.settings import settings
from warehouse.streams import Stream, streams

if TYPE_CHECKING:
    from deployments.doctor import Finding

LEAST_FREE = 1_000_000_000
SILENT_S = 60.0
ANSWER_S = 5.0  # that a broker may take
CONSUME = "Start it with `carrel up` (CARREL_STREAM=on), or `carrel consume`."


def examine() -> Iterator[Finding]:
    """Every examination of the streams that are in use; none raises."""
    from deployments.doctor import Finding

    try:
        known = streams()
    except CarrelError as error:
        yield Finding("stream", False, error.message, error.remedy or "")
        return
    for stream in known.values():
        if is_used(stream):
            yield from _of(stream)
        else:
            yield _finding(stream, True, "is not used; `carrel produce` begins it")


def is_used(stream: Stream) -> bool:
    """Whether there is anything to consume, by the setting `stream`."""
    wanted = settings().stream
    if wanted != "auto":
        return wanted == "on"
    return bool(settings().kafka_bootstrap) or (settings().stream_folder / stream.topic).is_dir()


def _finding(stream: Stream, ok: bool, found: str, remedy: str = "") -> Finding:
    from deployments.doctor import Finding

    return Finding("stream", ok, f"{stream.table}: {found}", remedy)


def _of(stream: Stream) -> Iterator[Finding]:
    from tasks.stream.ends import ends

    if not settings().kafka_bootstrap:
        yield _folder(stream)
    try:
        reach = ends(stream, ANSWER_S)
    except (CarrelError, OSError) as error:
        remedy = getattr(error, "remedy", None) or "Look whether the log can be reached and read."
        if "nknown topic" in str(error):
            remedy = "The broker answers, but has no such topic: `carrel produce` makes it."
        yield _finding(stream, False, getattr(error, "message", str(error)), remedy)
        return
    where = settings().kafka_bootstrap or str(settings().stream_folder)
    remedy = "`carrel produce` makes what is missing; more partitions than the spec's do no harm."
    found = f"topic {stream.topic} at {where}: {len(reach)} of {stream.partitions} partitions"
    yield _finding(stream, len(reach) >= stream.partitions, found, remedy)
    try:
        standing = list(_standing(stream))
    except (CarrelError, psycopg.Error) as error:
        yield _finding(stream, False, f"the database does not say: {str(error).strip()}",
                       "Start it with `carrel up`, or run `carrel migrate`.")  # fmt: skip
        return
    known = {partition: (at, held) for partition, at, held, _ in standing}
    heard = next((one[3] for one in standing if one[3] is not None), None)
    yield from _partitions(stream, reach, known)
    yield _consumer(stream, heard, behind=any(
        end > known.get(one, (0, False))[0] for one, (_, end) in reach.items()
    ))  # fmt: skip


def _folder(stream: Stream) -> Finding:
    """Whether the folder log can be written to, and how much is free."""
    folder = settings().stream_folder
    place = next(p for p in (folder / stream.topic, folder, *folder.parents) if p.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        return _finding(stream, False, f"{place} is not writable",
                        "Give this account the folder, or set CARREL_STREAM_LOG.")  # fmt: skip
    free = shutil.disk_usage(place).free
    found = f"folder log {folder} is writable, {free / 1e9:.1f} GB free"
    return _finding(stream, free > LEAST_FREE, found, "Free 1 GB, or set CARREL_STREAM_LOG.")


def _standing(stream: Stream) -> list[Any]:
    """Partition, next record, whether it is held, seconds since any consumer was heard of."""
    from warehouse.database import connect

    with connect(connect_timeout=5) as connection:
        return connection.execute(STANDING, [stream.table, stream.table, stream.topic]).fetchall()


def _partitions(
    stream: Stream, reach: dict[int, tuple[int, int]], known: dict[int, tuple[int, bool]]
) -> Iterator[Finding]:
    """A line a partition: its lag; a fault where the log lost what was not read."""
    for partition, (first, end) in sorted(reach.items()):
        at, held = known.get(partition, (0, False))
        reader = "a consumer reads it" if held else "nobody reads it"
        found = f"partition {partition}: lag {max(0, end - at):,} of {end:,} records; {reader}"
        if at < first:
            found += f"; {first - at:,} records left the log before they were read"
        elif at > end:
            found += f"; the log ends before record {at:,}, which is the next one to be read"
        yield _finding(stream, first <= at <= end, found,
                       "Put the log back as it was; `carrel stream review` says more.")  # fmt: skip


def _consumer(stream: Stream, heard: float | None, *, behind: bool) -> Finding:
    if heard is None:
        return _finding(stream, not behind, "no consumer ever ran", CONSUME)
    alive = heard < SILENT_S
    found = f"consumer {'alive' if alive else 'silent'}, last heard of {heard:,.0f} s ago"
    return _finding(stream, alive or not (behind or settings().stream == "on"), found, CONSUME)


def lines() -> Iterator[tuple[str, bool]]:
    """For `carrel status`: a line a stream in use, and whether it is as wanted."""
    from warehouse.database import connect

    used = [stream for stream in streams().values() if is_used(stream)]
    if not used:
        return
    try:
        with connect(connect_timeout=5) as connection:
            found = dict(connection.execute(NOW))
    except (ConfigurationError, psycopg.Error):
        return
    for stream in used:
        now = found.get(stream.table, {})
        alive = (now.get("consumers") or 0) > 0
        state = "is consumed" if alive else "NOBODY CONSUMES"
        lag = "-" if now.get("lag") is None else f"{now['lag']:,.0f}"
        yield (
            f"{stream.table:<16} {state:<32} lag {lag}, {now.get('records') or 0:,.0f} records",
            alive,
        )


STANDING = """
select p.partition, p.next_offset, coalesce(p.held_until > now(), false),
    (select extract(epoch from now() - max(c.seen_at))::float
     from (select seen_at from ops.stream_consumers where stream = %s
           union all select reported_at from ops.stream_runs where stream = p.stream) c)
from ops.stream_partitions p where (p.stream, p.topic) = (%s, %s)
"""
NOW = "select stream, json_object_agg(metric, value) from ops.stream_metrics group by 1"
