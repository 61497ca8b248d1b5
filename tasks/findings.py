"""Findings: what a run found wrong, at every level, as one report.

file         which files came, and what of them was left aside
schema       columns that the spec does not know; columns or types that the contract misses
field        values that are not of their column's type, form or range, by column
row          records that break a rule, are ragged, or are a second of their key, by rule
cross-table  rows that name what another dataset does not hold
contract     every other check of the contract that does not hold, by severity
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from quality.references import name_of
from quality.soda import Check
from quality.verdict import Verdict
from warehouse.database import connect
from warehouse.spec import Dataset

LEVELS = ("file", "schema", "field", "row", "cross-table", "contract")
OF_A_RECORD = {"ragged", "encoding", "unreadable", "duplicate_key"}
SHOWN = 50  # findings of a level; the rest are counted


@dataclass(frozen=True)
class Finding:
    """One thing to know: `effect` says what followed (left aside, quarantined, warning, …)."""

    level: str
    effect: str
    subject: str
    count: int | None = None  # records, where it is about records

    def __str__(self) -> str:
        counted = "" if self.count is None else f"{self.count:,} "
        return f"{self.level:<12} {counted}{self.effect}: {self.subject}"


def findings(dataset: Dataset, verdict: Verdict) -> list[Finding]:
    """What the run of a verdict found, level by level; nothing where all is well.

    No row's value is in it but the keys that `references` may show.
    """
    found = [*_of_loads(dataset, verdict.run_id), *_of_checks(dataset, verdict)]
    return sorted(found, key=lambda f: LEVELS.index(f.level))


def _of_loads(dataset: Dataset, run_id: str | None) -> Iterator[Finding]:
    """What the run's files and their records were found to be."""
    with connect() as connection:
        loads = connection.execute(LOADS, [dataset.table, run_id]).fetchall()
        bad = _quarantined(connection, dataset, [row[0] for row in loads])
    for _, state, path, note, ignored in loads:
        name = Path(path).name
        if state == "unchanged":
            yield Finding("file", "left alone", f"{name} is as it was loaded before")
        if ignored:
            yield Finding("file", "ignored", f"blank or repeated records of {name}", ignored)
        if note:
            yield Finding("schema", "left aside", f"{note} ({name})")
    own = {rule.name for rule in dataset.rules}
    for rule, column, records in bad:
        of_field = column is not None and rule not in own and rule not in OF_A_RECORD
        subject = f"{column}: {rule}" if column else rule
        yield Finding("field" if of_field else "row", "quarantined", subject, records)


LOADS = """
select l.load_id, l.state, coalesce(f.path, 'the source'), l.note, l.rows_ignored
from ops.loads l left join ops.files f using (file_id)
where l.dataset = %s and l.run_id = %s and l.state in ('done', 'unchanged') order by l.load_id
"""
BAD = sql.SQL("""
select rule, column_name, count(distinct (load_id, record_no)) from {}
where load_id = any(%s) group by rule, column_name order by 3 desc, 1, 2 limit %s
""")


def _quarantined(
    connection: psycopg.Connection[Any], dataset: Dataset, loads: list[int]
) -> list[tuple[str, str | None, int]]:
    table = sql.Identifier("quarantine", dataset.table)
    return connection.execute(BAD.format(table), [loads, SHOWN]).fetchall()


def _of_checks(dataset: Dataset, verdict: Verdict) -> Iterator[Finding]:
    """The checks that do not hold, and the references that lead nowhere."""
    lost = {one.name: one for one in verdict.lost}
    references = {name_of(r) for r in dataset.references}
    for check in verdict.checks:
        if check.name in lost:
            effect = "tolerated" if check.holds else check.severity
            shown = ", ".join(lost[check.name].samples)
            subject = f"{check.name}{f' (not there: {shown})' if shown else ''}"
            yield Finding("cross-table", effect, subject, lost[check.name].rows)
        elif not check.holds:
            level = "cross-table" if check.name in references else "contract"
            yield Finding("schema" if check.type == "schema" else level, *_told(check))
    if verdict.outcome == "error":
        yield Finding("contract", "could not be measured", verdict.message or "a check")


def _told(check: Check) -> tuple[str, str]:
    effect = {"failed": check.severity, "warned": "warning"}.get(check.outcome, check.outcome)
    value = "" if check.measured is None else f": {check.measured:g}, {check.threshold}"
    return effect, f"{check.name}{value}"
