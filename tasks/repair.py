"""Held-back records that an admin mends on a page: opened for that person, sent again as edited.

What a page may show of a record are the cells of its columns that are not private, and none of a
record whose shape is at fault, in which columns may have slipped. The records lie in
`app.held_records`, which the asker alone can read, and go when they have been sent again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import Jsonb

from tasks.export import whole
from tasks.extract import Lines, places
from tasks.quarantine import MORE, OWN, Source, held, shown, sources, texts
from tasks.spool import private
from tasks.writers import Field, Row, to_csv
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.settings import settings
from warehouse.spec import Dataset

MOST = 200  # records on one page
LONGEST = 2000  # characters of a cell; a longer one is left to a spreadsheet
HOUR = 3600
PICKED = """
with held as (
    select load_id, line_no, bool_or(rule in ('ragged', 'unreadable')
            or column_name is null and rule <> 'duplicate_key') as slipped,
        jsonb_agg(distinct array[column_name, rule]) as faults,
        bool_or(%(rule)s::text is null or rule = %(rule)s) as wanted
    from {quarantine} group by 1, 2
)
select h.load_id, h.line_no, h.faults, f.path, coalesce(r.first_line, h.line_no)
from held h left join ops.replays r on (r.load_id, r.line_no) = (h.load_id, h.line_no)
join ops.loads l on l.load_id = coalesce(r.first_load, h.load_id)
join ops.files f on f.file_id = l.file_id
where wanted and not slipped order by h.load_id desc, h.line_no limit %(most)s
"""
KEEP = """
insert into app.held_records (request_id, asked_by, load_id, line_no, place, faults, cells)
values (%s, %s, %s, %s, %s, %s, %s)
"""
CLOSE = """
delete from app.held_records h using app.requests r
where r.request_id = h.request_id and h.asked_by = %s and r.subject = %s
"""
ASKED = """
select asked_by, detail -> 'of' as of from app.requests
where request_id = %s and subject = %s and action = 'replay'
"""
EDITED = """
select h.load_id, h.line_no, h.edited, h.cells
from app.held_records h join app.requests r using (request_id)
where h.request_id = %(of)s and h.asked_by = %(who)s and r.subject = %(dataset)s
    and r.action = 'open' and h.edited <> '{}' order by 1, 2
"""
NOTED = """
update app.requests set detail = detail || jsonb_build_object('edited', %s::jsonb)
where request_id = %s
"""


@dataclass(frozen=True)
class Opened:
    """How many records lie open, and how many are held back in all."""

    records: int
    held: int

    def __str__(self) -> str:
        if self.records == self.held:
            return f"{self.records:,} records"
        return (
            f"{self.records:,} of {self.held:,} records; the others break another rule, are of"
            " another shape, or more than a page holds"
        )


# Opened ---------------------------------------------------------------------------------------


def open_records(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    request: int,
    who: str,
    rule: str | None = None,
) -> Opened:
    """Lay the newest held-back records before one person; what that person had open is closed.

    Args:
        connection: as the owner; nothing is committed here.
        dataset: whose records.
        request: the person's request, under which they lie.
        who: the person.
        rule: only records that break it.

    Raises:
        ConfigurationError: nothing is held back that can be opened.
        LoadFailed: by the spec of today a file holds other records than it did.
    """
    everything = sum(map(len, held(dataset).values()))  # says, too, where there are no tables
    query = sql.SQL(PICKED).format(quarantine=sql.Identifier("quarantine", dataset.table))
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(query, {"rule": rule, "most": MOST}).fetchall()
    known = {(load, line): (f"{Path(path).name}:{first}", faults)
             for load, line, faults, path, first in found}  # fmt: skip
    connection.execute(CLOSE, [who, dataset.table])
    records = list(_records(dataset, list(known)))
    for at, source, cells in records:
        place, faults = known[at]
        header = source.dialect.header
        shown_cells = [
            [header[i], cells[i], _fault(faults, names)]
            for i, names in visible(source).items()
            if len(cells[i]) <= LONGEST
        ]
        told = "; ".join(f"{rule} {column or ''}".strip() for column, rule in faults)
        connection.execute(KEEP, [request, who, *at, place, told, Jsonb(shown_cells)])
    if not records:
        raise ConfigurationError(
            f"{dataset.table} holds back no record that can be shown on a page.",
            remedy=f"See `carrel quarantine list {dataset.table}`.",
        )
    return Opened(len(records), everything)


At = tuple[int, int]  # a record's load and line


def _records(dataset: Dataset, wanted: list[At]) -> Iterator[tuple[At, Source, list[str]]]:
    """The records with their cells, of which the last is what is beyond the header."""
    lines: dict[int, Lines] = {}
    for load in sorted({load for load, _ in wanted}):
        lines[load] = np.array(sorted(line for at, line in wanted if at == load), np.int64)
    for load, source in sources(dataset, lines).items():
        width = len(source.dialect.header)
        for spans in source.records(lines[load]):
            for line, record in zip(spans.lines.tolist(), texts(spans), strict=True):
                yield (load, line), source, shown(record, source.dialect, width)


def _fault(faults: Iterable[tuple[str | None, str]], columns: set[str]) -> str:
    """The rules that a cell breaks."""
    return ", ".join(rule for column, rule in faults if column in columns)


def visible(source: Source) -> dict[int, set[str]]:
    """The positions of the header whose cells feed open columns, and no private one; and which."""
    found: dict[int, set[str]] = {}
    closed: set[int] = set()
    private_ones = {c.name for c in source.dataset.columns if c.privacy}
    for name, position in places(source.dataset, source.arrival).columns.items():
        if position is not None and position >= 0:
            found.setdefault(position, set()).add(name)
            if name in private_ones:
                closed.add(position)
    return {i: found[i] for i in sorted(found.keys() - closed)}


# Sent again -----------------------------------------------------------------------------------


def carried_out_by(request: int, run_id: str) -> None:
    """Note which run carries a request out, so that its asker can follow it."""
    with connect() as connection:
        connection.execute(
            "update app.requests set run_id = %s where request_id = %s", [run_id, request]
        )


@contextmanager
def as_export(dataset: Dataset, request: int) -> Iterator[Path]:
    """The records that a request sends again, as an export that was edited; gone after the block.

    Where the block succeeds, the records that lay before the person are gone too.

    Raises:
        ConfigurationError: there is no such request, or nothing was edited.
        LoadFailed: by the spec of today a file holds other records than it did.
    """
    with connect(row_factory=dict_row) as connection:
        asked = connection.execute(ASKED, [request, dataset.table]).fetchone()
        if not asked or not isinstance(asked["of"], int):
            raise ConfigurationError(f"Request {request} sends no records of {dataset.table}.")
        facts = {"of": asked["of"], "who": asked["asked_by"], "dataset": dataset.table}
        edits = {(r["load_id"], r["line_no"]): _edits(r)
                 for r in connection.execute(EDITED, facts)}  # fmt: skip
        if not edits:
            raise ConfigurationError("No cell was edited.", remedy="Open the records again.")
        what = [[*at, sorted(cells)] for at, cells in edits.items()]
        connection.execute(NOTED, [Jsonb(what), request])
    folder = private(settings().home / "spool")
    for left in folder.glob("repair_*.csv"):  # of a run that was killed
        if left.stat().st_mtime < time.time() - HOUR:
            left.unlink(missing_ok=True)
    path = folder / f"repair_{request}.csv"
    try:
        _write(dataset, path, edits)
        yield path
    finally:
        path.unlink(missing_ok=True)
    with connect() as connection:
        connection.execute(CLOSE, [asked["asked_by"], dataset.table])


def _edits(row: dict[str, Any]) -> dict[str, str]:
    """What was edited of a record: cells that were shown, and no others."""
    shown_cells = {name: text for name, text, _ in row["cells"]}
    for name, text in row["edited"].items():
        if name not in shown_cells or not isinstance(text, str) or len(text) > LONGEST:
            raise ConfigurationError(
                f"load {row['load_id']}, line {row['line_no']}: {name!r} cannot be edited so.",
                remedy=f"A cell holds at most {LONGEST:,} characters; open the records again.",
            )
    return {name: text for name, text in row["edited"].items() if text != shown_cells[name]}


def _write(dataset: Dataset, path: Path, edits: dict[At, dict[str, str]]) -> None:
    found = list(_records(dataset, list(edits)))
    columns: dict[tuple[str, int], str] = {}
    for _, source, _ in found:
        columns |= dict(zip(source.columns, source.dialect.header, strict=True)) | columns
    fields = [Field(name) for name in (*OWN, *columns.values(), MORE)]
    rows = (_row(at, source, cells, list(columns), edits[at]) for at, source, cells in found)
    with whole(path, 0o600) as draft:
        to_csv(draft, fields, rows)


def _row(
    at: At, source: Source, cells: list[str], columns: list[tuple[str, int]], edits: dict[str, str]
) -> Row:
    """A record's row of the export."""
    *fields, more = cells
    row = [""] * len(columns)
    for column, name, text in zip(source.columns, source.dialect.header, fields, strict=True):
        row[columns.index(column)] = edits.get(name, text)
    return (str(at[0]), str(at[1]), "", "", *row, more)
