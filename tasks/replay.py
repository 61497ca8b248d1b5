"""Send records again that quarantine holds, as they were or as a person edited them.

Those of each load make a text of their own (a header, then the records as their file writes them),
which goes the way of every file: bronze, silver, quarantine, ledger. Where each record starts in it
is kept (`ops.replays`), so that no stray quote can join two. What is still bad is held back again,
under the replay's load; the source's findings on the records go in the same transaction.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import sql

from tasks.dialect import Dialect
from tasks.edited import Edited, Editing, read_edited
from tasks.extract import Again, Arrival, Lines
from tasks.held import done
from tasks.quarantine import ALL, Chosen, Source, held, sources
from tasks.records import FEED, Spans, among
from tasks.spool import clear, private
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.settings import settings
from warehouse.spec import Dataset

NEWEST = """
select max(load_id) from ops.loads where dataset = %s and state = 'done'
    and (origin is null or %s)
"""
SENT = "select from_line from ops.replays where from_load = %s order by 1"
SAME = """
select 1 from ops.loads l join ops.files f using (file_id)
where l.dataset = %s and f.path = %s and l.state = 'done' and l.origin is not null limit 1
"""
SECOND = """
select line_no from {} where load_id = %s
group by 1 having bool_and(rule = 'duplicate_key') order by 1
"""


@dataclass
class Sending:
    """What is sent again, a file a load, and why some is not."""

    arrivals: list[Arrival] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(a.again) for a in self.arrivals if a.again)


def sent_again(dataset: Dataset, path: Path | None = None, chosen: Chosen = ALL) -> Sending:
    """The records to send again, all of them written down before the first is loaded.

    To be called, and the result loaded, inside `only_run`.

    Args:
        dataset: whose records.
        path: an edited export; default: what is chosen, as it was.
        chosen: of which rule, of which load.

    Raises:
        SourceUnavailable: there is no such file, or it is no export; its row is named.
        ConfigurationError: both a file and a choice are given.
        LoadFailed: by the spec of today a file holds other records than it did.
    """
    clear(dataset)
    if path is None:
        return _as_they_were(dataset, chosen)
    if chosen != ALL:
        raise ConfigurationError("A file says by itself which records are sent again.")
    edited = read_edited(dataset, path)
    return Sending(_as_edited(dataset, edited))


def newest_load(dataset: Dataset, *, replays: bool = True) -> int:
    """The dataset's newest load that is done.

    Raises:
        ConfigurationError: there is none.
    """
    with connect() as connection:
        row = connection.execute(NEWEST, [dataset.table, replays]).fetchone()
    if not row or row[0] is None:
        raise ConfigurationError(f"{dataset.table} has not been loaded.", remedy="Ingest it first.")
    return int(row[0])


def _as_they_were(dataset: Dataset, chosen: Chosen) -> Sending:
    lines = held(dataset, chosen)
    opened = sources(dataset, lines)
    sending = Sending()
    for load, records in lines.items():
        if reason := _unfit(dataset, load, opened.get(load)):
            sending.notes.append(f"{len(records)} records of load {load} stay: {reason}.")
        else:
            sending.arrivals.append(_text(dataset, opened[load], records, None))
    return sending


def _unfit(dataset: Dataset, load: int, source: Source | None) -> str | None:
    """Why a load's records cannot be sent again."""
    if source is None:
        return "its lines are no longer in bronze"
    origin = source.load.origin or load
    if dataset.mode == "snapshot" and origin < newest_load(dataset, replays=False):
        return "a newer snapshot is the whole truth"
    return None


# Edited ---------------------------------------------------------------------------------------


def _as_edited(dataset: Dataset, edited: Edited) -> list[Arrival]:
    loads = np.unique(edited.loads).tolist()
    known = {one.load_id for one in done(dataset, loads)}
    opened = sources(dataset, known)
    lines = held(dataset)
    columns = {column for source in opened.values() for column in source.columns}
    replayed = {load: _check(dataset, edited, load, opened.get(load), lines) for load in loads}
    arrivals = []
    for load, again in replayed.items():
        source = opened[load]
        editing = Editing(edited, source, columns)
        rows = edited.of(load)
        arrival = _text(dataset, source, edited.lines[rows], editing)
        if again is not None and not _is_done(dataset, arrival):
            raise edited.wrong(again, "was sent again already, and not as it stands here.")
        arrivals.append(arrival)
    return arrivals


def _check(
    dataset: Dataset, edited: Edited, load: int, source: Source | None, held: dict[int, Lines]
) -> int | None:
    """Check that a load's rows are held back; return the first that was sent again already."""
    rows = edited.of(load)
    lines = edited.lines[rows]
    with connect() as connection:
        sent = np.array(connection.execute(SENT, [load]).fetchall(), np.int64).ravel()
    gone = among(lines, sent)
    unknown = np.flatnonzero(~gone & ~among(lines, held.get(load, lines[:0])))
    if len(unknown):
        raise edited.wrong(
            rows.start + int(unknown[0]),
            f"is not held back in quarantine of {dataset.table}: never, or no longer.",
        )
    if reason := _unfit(dataset, load, source):
        raise edited.wrong(rows.start, f"cannot be sent again: {reason}.")
    return rows.start + int(np.flatnonzero(gone)[0]) if gone.any() else None


def _is_done(dataset: Dataset, arrival: Arrival) -> bool:
    """Whether these very records have been sent again as they stand here."""
    with connect() as connection:
        facts = [dataset.table, str(arrival.path)]
        return connection.execute(SAME, facts).fetchone() is not None


# The text -------------------------------------------------------------------------------------


class _Writing:
    """Writes the records of a replay, and remembers where each stands."""

    def __init__(self, draft: Any, source: Source) -> None:
        self._draft, self._line = draft, 2
        self._starts: list[Lines] = []
        self._lines: list[Lines] = []
        self._edited: list[npt.NDArray[np.bool_]] = []
        dialect = source.dialect
        quote = dialect.quote or ""
        names = (quote + n.replace(quote or "\0", quote * 2) + quote for n in dialect.header)
        draft.write((dialect.delimiter.join(names) + "\n").encode())

    def take(self, spans: Spans, editing: Editing | None) -> None:
        """Write some records."""
        if editing is None:
            text, heights = spans.text[spans.starts[0] : spans.ends[-1]], _heights(spans)
            edited = np.zeros(len(heights), np.bool_)
        else:
            records, edited = editing(spans)
            text = b"".join(records)
            heights = np.array([record.count(b"\n") for record in records], np.int64)
        self._draft.write(text)
        self._starts.append(self._line + np.cumsum(heights) - heights)
        self._lines.append(spans.lines)
        self._edited.append(edited)
        self._line += int(heights.sum())

    def again(self, source: Source, second: Lines) -> Again:
        """What was written. `second` are the lines held back as second rows of their key."""
        load = source.load
        lines, edited = np.concatenate(self._lines), np.concatenate(self._edited)
        starts = np.concatenate([*self._starts, [self._line]])
        origin = load.origin or load.load_id
        return Again(load.load_id, origin, starts, lines, edited, edited & among(lines, second))


def _heights(spans: Spans) -> Lines:
    """How many lines each record has."""
    feeds = np.flatnonzero(np.frombuffer(spans.text, np.uint8) == FEED)
    return np.diff(np.searchsorted(feeds, np.concatenate((spans.starts, spans.ends[-1:]))))


def _text(dataset: Dataset, source: Source, lines: Lines, editing: Editing | None) -> Arrival:
    """Write the records of one load to a text file."""
    folder = private(settings().home / "spool")
    draft = folder / f"{dataset.table}.{os.getpid()}"
    with draft.open("wb") as file:
        writing = _Writing(file, source)
        for spans in source.records(lines):
            writing.take(spans, editing)
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    text = draft.replace(folder / f"{dataset.table}_{digest}.csv")
    again = writing.again(source, _second(dataset, source.load.load_id))
    path = Path(f"quarantine:{dataset.table}/{source.load.load_id}/{digest}")
    was = source.dialect
    dialect = Dialect("utf-8", was.delimiter, was.quote, None, was.header, 1, 2)
    return Arrival(dataset.table, path, digest, text.stat().st_size, dialect, text, again=again)


def _second(dataset: Dataset, load: int) -> Lines:
    """The lines of a load's records that are held back as second rows of their key alone."""
    query = sql.SQL(SECOND).format(sql.Identifier("quarantine", dataset.table))
    with connect() as connection:
        rows = connection.execute(query, [load]).fetchall()
    return np.array(rows, np.int64).ravel()
