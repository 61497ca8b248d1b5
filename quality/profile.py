"""Profile: what each column of a dataset holds, kept over time, safe to show.

One scan of silver counts rows and nulls and finds the extremes of numbers and days; all else is
computed of a sample (quality/sample.py), which is the whole of a table up to 15,000 rows:

    exact        rows, nulls, min and max, distinct of a column that is the key by itself
    of a sample  distinct, mean, quantiles, frequent values, patterns, bins

Distinct values of a sampled table are estimated by Haas and Stokes' Duj1 (Estimating the Number of
Classes in a Finite Population, JASA 93, 1998), as PostgreSQL's own statistics are:
    n d / (n - f1 + f1 n / N), with d distinct values and f1 that occur once in n of N rows.

Nothing shown tells of one person. No frequent value or pattern has fewer than five rows; where a
row is about a person, also no fewer than five persons. There an extreme is shown only where five
hold it (of a timestamp: its day), a quantile only with five rows on either side, a mean of five or
more. A personal column (`privacy:` in the spec) has counts alone.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql

from quality.drift import drift
from quality.sample import DAYS, NUMBERS, Groups, Sample, sample
from warehouse.database import connect
from warehouse.ddl import is_private
from warehouse.spec import Column, Dataset, Derived

if TYPE_CHECKING:
    import numpy as np

LEAST = 5
TOP, PATTERNS = 10, 5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 10
FEW = 20  # distinct values up to which a number is compared value by value
ENOUGH_FOR_BINS = 200
UNIQUE = 0.9  # share of distinct values from which a column names rows, and cannot drift
EPOCH = dt.date(1970, 1, 1)
Measures = dict[str, Any]

NOT_NULL = """
select attname from pg_attribute
where attrelid = {table}::regclass and attnotnull and attnum > 0
"""
LAST = """
select column_name, measures from quality.profiles p
where dataset = %(dataset)s
    and at = (select max(at) from quality.profiles where dataset = %(dataset)s)
order by position
"""
SAVE = """
insert into quality.profiles (dataset, at, position, column_name, run_id, measures)
values (%s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True)
class Profile:
    """The measures of each column of silver, in the table's order; `newest` is the last event."""

    dataset: str
    rows: int
    at: dt.datetime
    columns: dict[str, Measures] = field(default_factory=dict)
    newest: dt.datetime | None = None

    @property
    def drifted(self) -> list[str]:
        """A sentence for each change since the last profile."""
        told = ((name, m.get("drift") or {}) for name, m in self.columns.items())
        return [f"{name}: {line}" for name, d in told for line in d.get("words", ())]


class Seen(NamedTuple):
    """What was read: the sample, its values by column, and what the scan of all rows told."""

    taken: Sample
    groups: dict[str, Groups]
    scanned: dict[str, Any]


def profile(dataset: Dataset, *, run_id: str | None = None, keep: bool = True) -> Profile:
    """Measure every column of a dataset's silver table, compare with the last profile, keep it.

    Args:
        dataset: whose table is migrated.
        run_id: the run after which it is made.
        keep: store it in quality.profiles.
    """
    with connect() as connection:
        last = dict(connection.execute(LAST, {"dataset": dataset.table}).fetchall())
        made = _measured(connection, dataset, last)
        if keep:
            _save(connection, made, run_id)
    return made


def last_profile(dataset: Dataset) -> dict[str, Measures]:
    """The measures kept last, by column; empty where none were."""
    with connect() as connection:
        return dict(connection.execute(LAST, {"dataset": dataset.table}).fetchall())


def _save(connection: psycopg.Connection[Any], made: Profile, run_id: str | None) -> None:
    rows = [
        (made.dataset, made.at, i, name, run_id, json.dumps(measures, allow_nan=False))
        for i, (name, measures) in enumerate(made.columns.items(), 1)
    ]
    connection.cursor().executemany(SAVE, rows)


def _measured(
    connection: psycopg.Connection[Any], dataset: Dataset, last: dict[str, Measures]
) -> Profile:
    taken = sample(connection, dataset)
    groups = {c.name: taken.groups(c.name) for c in dataset.stored}
    scanned = _scan(connection, dataset, taken, groups)
    total = scanned["rows"]
    seen = Seen(replace(taken, total=total), groups, scanned)
    columns = {}
    for column in dataset.stored:
        facts = _counts(column, scanned) | {"sample": taken.rows}
        facts |= _column(dataset, column, seen, last.get(column.name))
        columns[column.name] = facts
    return Profile(
        dataset.table,
        total,
        dt.datetime.now(dt.UTC),
        columns,
        scanned.get(f"max {dataset.event}") if dataset.event else None,
    )


# The scan of every row -------------------------------------------------------------------------


def _scan(
    connection: psycopg.Connection[Any], dataset: Dataset, taken: Sample, groups: dict[str, Groups]
) -> dict[str, Any]:
    """Rows, how many have each column, and the extremes: `{"rows": 3, "count x": 3, "min x": 1}`.

    Only what is needed is asked: no count of a column that cannot be null, no extreme that will
    not be shown; but always the newest event.
    """
    table = sql.Identifier("silver", dataset.table)
    query = sql.SQL(NOT_NULL).format(table=sql.Literal(table.as_string(None)))
    never_null = {name for (name,) in connection.execute(query)}
    asked: dict[str, sql.Composable] = {"rows": sql.SQL("count(*)")}
    for column in dataset.stored:
        functions = [] if column.name in never_null else ["count"]
        functions += _extremes_shown(column, taken, groups[column.name])
        if column.name == dataset.event and "max" not in functions:
            functions.append("max")
        name = sql.Identifier(column.name)
        for function in functions:
            # As text, since the driver knows no day after the year 9999.
            cast = "::text" if function != "count" and column.type in DAYS else ""
            asked[f"{function} {column.name}"] = sql.SQL(f"{function}({{}}){cast}").format(name)
    listed = sql.SQL(", ").join(asked.values())
    (row,) = connection.execute(sql.SQL("select {} from {}").format(listed, table)).fetchall()
    return {name: _read(value) for name, value in zip(asked, row, strict=True)}


def _read(value: Any) -> Any:
    """What PostgreSQL told, a day or time that came as text as such."""
    if not isinstance(value, str):
        return value
    try:
        return dt.datetime.fromisoformat(value) if " " in value else dt.date.fromisoformat(value)
    except ValueError:
        return None  # infinity, or a year that is none of ours


def _extremes_shown(column: Column | Derived, taken: Sample, groups: Groups) -> list[str]:
    """Which of min and max may be shown.

    Where rows are about persons, five must hold it in the sample. An extreme of the table that is
    not the sample's own is held by nobody there, so the sample's own tells.
    """
    if column.type not in (*NUMBERS, *DAYS) or is_private(column):
        return []
    if not taken.persons:
        return ["min", "max"]
    ends = {"min": groups.holders[:1], "max": groups.holders[-1:]}
    return [name for name, held in ends.items() if (held >= LEAST).any()]


# A column of the sample ------------------------------------------------------------------------


def _column(
    dataset: Dataset, column: Column | Derived, seen: Seen, last: Measures | None
) -> Measures:
    """What the sample says of a column."""
    taken, groups, scanned = seen.taken, seen.groups[column.name], seen.scanned
    facts = _distinct(dataset, column.name, taken, groups)
    if is_private(column):
        return facts | {"personal": True}
    if column.type in (*NUMBERS, *DAYS):
        facts |= _extremes(column, scanned, taken, groups)
        facts |= _numbers(column, taken, groups)
    if column.type == "text":
        facts["patterns"] = [
            {"pattern": one.pop("value"), **one}
            for one in _top(column, taken.shapes(groups), taken, PATTERNS)
        ]
    facts["top"] = _top(column, groups, taken, TOP)
    facts["bins"] = _bins(column, facts, groups)
    if last is not None and not last.get("personal"):
        now = facts | _counts(column, scanned)
        facts["drift"] = drift(last, now, counted(last.get("bins"), groups))
    return facts


def _counts(column: Column | Derived, scanned: dict[str, Any]) -> Measures:
    rows = scanned["rows"]
    filled = scanned.get(f"count {column.name}", rows)
    return {"type": column.type, "rows": rows, "nulls": rows - filled}


def _distinct(dataset: Dataset, name: str, taken: Sample, groups: Groups) -> Measures:
    found = len(groups.values)
    if taken.whole:
        return {"distinct": found, "distinct_exact": True}
    if dataset.key_columns == (name,):
        return {"distinct": taken.total, "distinct_exact": True}
    rows = int(groups.rows.sum())
    once = int((groups.rows == 1).sum())
    every = taken.total * rows / max(taken.rows, 1)  # rows of the table that are not null
    spread = rows - once + once * rows / max(every, 1)
    estimate = rows * found / spread if spread else 0
    return {"distinct": round(max(found, min(estimate, every))), "distinct_exact": False}


def _extremes(
    column: Column | Derived, scanned: dict[str, Any], taken: Sample, groups: Groups
) -> Measures:
    """Min and max, where they are not a few persons' alone."""
    shown: Measures = {"min": None, "max": None}
    for name in shown:
        value = scanned.get(f"{name} {column.name}")
        if value is None:
            continue
        day = value.date() if isinstance(value, dt.datetime) else value
        at = (day - EPOCH).days if isinstance(day, dt.date) else float(day)
        held = groups.holders[groups.values == at].sum() if len(groups.values) else 0
        if not taken.persons:
            shown[name] = _plain(value)
        elif held >= LEAST:
            shown[name] = _plain(day)
    return shown


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, int):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def _numbers(column: Column | Derived, taken: Sample, groups: Groups) -> Measures:
    """Mean and quantiles; of days too."""
    rows = int(groups.rows.sum())
    least = LEAST if taken.persons else 1
    if groups.holders.sum() < least or not rows:
        return {"mean": None, "quantiles": {}}
    mean = float((groups.values * (groups.rows / rows)).sum())
    below = groups.rows.cumsum()
    quantiles = {
        f"p{100 * q:02.0f}": _shown(column, groups.values[below.searchsorted(q * rows)])
        for q in QUANTILES
        if not taken.persons or min(q, 1 - q) * rows >= LEAST
    }
    return {"mean": _shown(column, mean), "quantiles": quantiles}


def _shown(column: Column | Derived, value: Any) -> Any:
    """A number of the sample as it is told: a day as a day, an integer as an integer."""
    if column.type in DAYS:
        return (EPOCH + dt.timedelta(days=round(float(value)))).isoformat()
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 2**53 else float(f"{number:.6g}")


def _top(column: Column | Derived, groups: Groups, taken: Sample, most: int) -> list[Measures]:
    """The most frequent values, of five rows and holders or more in the sample."""
    import numpy as np

    safe = np.flatnonzero((groups.rows >= LEAST) & (groups.holders >= LEAST))
    order = safe[np.argsort(-groups.rows[safe], kind="stable")][:most]
    filled = int(groups.rows.sum())
    return [
        {
            "value": _named(column, groups.values[i]),
            "rows": round(int(groups.rows[i]) * taken.total / taken.rows),
            "share": _share(groups.rows[i], filled),
        }
        for i in order
    ]


def _named(column: Column | Derived, value: Any) -> Any:
    return str(value) if column.type in ("text", "boolean") else _shown(column, value)


def _share(part: Any, whole: Any) -> float:
    return round(float(part) / float(whole), 6) if whole else 0.0


def _bins(column: Column | Derived, facts: Measures, groups: Groups) -> Measures | None:
    """The bins that the next profile is compared by, with the sample's rows in each.

    None for days, which move on by themselves, for what names rows, and for small samples.
    """
    rows = int(groups.rows.sum())
    named = len(groups.values) > UNIQUE * rows
    if column.type in DAYS or named or rows < ENOUGH_FOR_BINS:
        return None
    if column.type not in NUMBERS or len(groups.values) <= FEW:
        values = [one["value"] for one in facts["top"]]
        bins: Measures = {"values": values}
    else:
        below = groups.rows.cumsum()
        tenths = [groups.values[below.searchsorted(rows * i / BINS)] for i in range(1, BINS)]
        bins = {"edges": sorted({float(edge) for edge in tenths})}
    return bins | {"counts": counted(bins, groups)}


def counted(bins: Measures | None, groups: Groups) -> list[int]:
    """How many rows lie in each bin; the last is above the last edge, or any other value."""
    import numpy as np

    if not bins:
        return []
    if "edges" in bins:
        place = np.searchsorted(np.asarray(bins["edges"]), groups.values.astype(float))
        sums = np.bincount(place, weights=groups.rows, minlength=len(bins["edges"]) + 1)
        return [int(n) for n in sums]
    counts = [_rows_of(value, groups.values, groups.rows) for value in bins["values"]]
    return [*counts, int(groups.rows.sum()) - sum(counts)]


def _rows_of(value: Any, values: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> int:
    return int(rows[values == value].sum())
