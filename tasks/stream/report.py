"""A consumer that says how it does: counts, throughput and the log's ends, every few seconds.

The events are consumed on a thread of their own. The one that asked waits, reports, and when it is
told to end lets the batch under way be committed first.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psutil
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tasks.stream.consume import consume
from tasks.stream.ends import Ends, Reach, open_reach
from tasks.stream.judge import Batch
from warehouse.database import connect
from warehouse.errors import CarrelError, SourceUnavailable, said
from warehouse.settings import settings
from warehouse.streams import Stream

log = logging.getLogger(__name__)
LONGEST_END_S = 25.0  # Prefect's worker kills after 30
FATES = ("events", "counted", "late", "duplicates", "quarantined")


@dataclass
class Tally:
    """What a run did so far; `delay_s` is the longest since the last report."""

    batches: int = 0
    fates: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATES, 0))
    delay_s: float | None = None

    def count(self, batch: Batch) -> None:
        """Add a batch that was committed."""
        self.batches += 1
        for fate in FATES:
            self.fates[fate] += sum(getattr(moved, fate) for moved in batch.moves)
        if batch.events is not None and batch.events.num_rows:
            # The records of a slice are in the order in which they were logged.
            first = batch.events["logged_at"].chunk(0)[0].as_py()
            self.delay_s = max(self.delay_s or 0.0, time.time() - first / 1_000_000)


class Reporter:
    """Keeps the row of one run in `ops.stream_runs`."""

    def __init__(self, stream: Stream, run_id: str) -> None:
        """Nothing is written before the first report."""
        self.tally = Tally()
        self._stream, self._run_id = stream, run_id
        self._reach: Reach | None = None
        self._began = self._last = time.monotonic()
        self._events = 0
        self._rate_most = 0.0

    def report(self, *, ended: bool = False, failure: str | None = None) -> bool:
        """Write how the run does; False where the database is away: the next report tells it."""
        now = time.monotonic()
        events, self._events = self._events, self.tally.fates["events"]
        # An interval that was cut short says nothing of the throughput.
        rate = (self._events - events) / max(now - self._last, 1.0)
        self._rate_most = max(self._rate_most, rate)
        delay, self.tally.delay_s = self.tally.delay_s, None
        self._last = now
        try:
            with connect() as connection:
                connection.execute(REPORT, {
                    "run_id": self._run_id, "stream": self._stream.table,
                    "topic": self._stream.topic, "host": socket.gethostname(), "pid": os.getpid(),
                    "up": now - self._began, "ended": ended, "lateness": self._stream.lateness,
                    "batches": self.tally.batches, "events": self._events, "rate": rate,
                    "rate_most": self._rate_most, "delay": delay, "failure": failure,
                    "memory": psutil.Process().memory_info().rss, "ends": self._ends(),
                } | _space())  # fmt: skip
        except psycopg.Error as error:
            log.warning("no report", extra={"stream": self._stream.table, "error": said(error)})
            return False
        return True

    def close(self) -> None:
        """Let go of the log."""
        if self._reach:
            self._reach.close()

    def _ends(self) -> Jsonb | None:
        """Where the log begins and ends; None where it does not answer."""
        found: Ends = {}
        try:
            self._reach = self._reach or open_reach(self._stream)
            found = self._reach()
        except (SourceUnavailable, OSError) as error:
            log.warning(
                "the log is away", extra={"stream": self._stream.table, "error": str(error)}
            )
            return None
        return Jsonb(found)


def _space() -> dict[str, Any]:
    """Bytes that the folder log takes, and that are free; None where the log is a broker's."""
    folder = settings().stream_folder
    if settings().kafka_bootstrap or not folder.is_dir():
        return {"log_bytes": None, "log_free": None}
    with suppress(FileNotFoundError):  # a segment that goes meanwhile
        size = sum(p.stat().st_size for p in folder.rglob("*.jsonl"))
        return {"log_bytes": size, "log_free": shutil.disk_usage(folder).free}
    return {"log_bytes": None, "log_free": None}


def run(
    stream: Stream,
    run_id: str,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    shown: Callable[[], None] | None = None,
) -> Tally:
    """Consume until told to stop, or `once`: until nothing is left to read; what was done.

    `shown` is called after each report. Whatever is raised here meanwhile (SIGTERM becomes an
    exception under Prefect) ends it: the batch under way is committed, then it goes on its way.

    Raises:
        CarrelError, psycopg.Error: the consumer failed; the report says so.
    """
    stop, reporter, faults = stop or threading.Event(), Reporter(stream, run_id), list[Exception]()
    over = threading.Event()

    def work() -> None:
        try:
            consume(stream, once=once, stop=stop, told=reporter.tally.count)
        except Exception as fault:
            faults.append(fault)
        finally:
            over.set()

    def tell(**end: Any) -> None:
        if reporter.report(**end) and shown:
            shown()

    consuming = threading.Thread(target=copy_context().run, args=(work,), daemon=True)
    consuming.start()
    try:
        tell()
        while not over.wait(settings().stream_report_s):
            tell()
    finally:
        stop.set()
        consuming.join(LONGEST_END_S)
        tell(ended=True, failure=_told(faults))
        reporter.close()
    for fault in faults:
        raise fault
    return reporter.tally


def _told(faults: list[Exception]) -> str | None:
    """A fault in words that quote no event."""
    for fault in faults:
        return fault.message if isinstance(fault, CarrelError) else said(fault)
    return None


def metrics(stream: Stream) -> list[dict[str, Any]]:
    """The stream's metrics now: `metric`, `value`, `unit`, `meaning`; none before it ever ran."""
    query = "select metric, value, unit, meaning from ops.stream_metrics where stream = %s"
    return _rows(query, [stream.table])


def partitions(stream: Stream) -> list[dict[str, Any]]:
    """Each partition: position, what became of its records, watermark, who reads it if anyone."""
    query = (
        "select p.partition, p.next_offset, p.events, p.counted, p.late, p.duplicates,"
        " p.quarantined, p.newest_at, p.newest_at - make_interval(secs => %s) as watermark,"
        " p.moved_at, coalesce(p.held_until > now(), false) as held,"
        " case when p.held_until > now()"
        " then coalesce('process ' || c.pid || ' on ' || c.host, 'a consumer') end as reader"
        " from ops.stream_partitions p left join ops.stream_consumers c using (consumer)"
        " where (p.stream, p.topic) = (%s, %s) order by 1"
    )
    return _rows(query, [stream.lateness, stream.table, stream.topic])


def _rows(query: LiteralString, values: list[Any]) -> list[dict[str, Any]]:
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


REPORT = """
insert into ops.stream_runs as r (
    run_id, stream, topic, host, pid, started_at, reported_at, ended_at, lateness, batches, events,
    rate, rate_most, delay_s, memory_bytes, log_bytes, log_free_bytes, ends, failure
) values (
    %(run_id)s, %(stream)s, %(topic)s, %(host)s, %(pid)s, now() - make_interval(secs => %(up)s),
    now(), case when %(ended)s then now() end, make_interval(secs => %(lateness)s), %(batches)s,
    %(events)s, %(rate)s, %(rate_most)s, %(delay)s, %(memory)s, %(log_bytes)s, %(log_free)s,
    coalesce(%(ends)s, '{}'::jsonb), %(failure)s
)
on conflict (run_id) do update set
    pid = excluded.pid, reported_at = excluded.reported_at, ended_at = excluded.ended_at,
    batches = excluded.batches, events = excluded.events, rate = excluded.rate,
    rate_most = excluded.rate_most, delay_s = excluded.delay_s,
    memory_bytes = excluded.memory_bytes, log_bytes = excluded.log_bytes,
    log_free_bytes = excluded.log_free_bytes, failure = excluded.failure,
    ends = case when excluded.ends = '{}' then r.ends else excluded.ends end
"""
