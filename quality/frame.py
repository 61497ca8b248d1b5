"""Quality at once: of a frame before it is loaded, and of what was loaded, for notebooks and flows.

>>> analyze_data_quality(frame, "loans")["completeness"]
0.98
>>> get_quality_report()["library_loan_events"]["outcome"]
'trusted'
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from quality.score import weights
from quality.shared import SHIPPED, read_shared
from warehouse.database import engine

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MOSTLY = 0.5  # share of a column's values of a form from which all are expected to have it
DATE = "date"


def analyze_data_quality(frame: pd.DataFrame, name: str) -> dict[str, Any]:
    """Measure a frame: nothing is kept, and no value of it is in the answer.

    Args:
        frame: any, with names for its columns; an empty text counts as missing.
        name: what the frame is called in the answer.

    Returns:
        `name`, `rows`, `duplicates` (rows that stand there already), and as shares of 1 (None where
        there is nothing to measure) `completeness` (cells that hold something), `uniqueness` (rows
        that are no duplicates) and `validity` (values in the form that most of their column
        have: e-mail address, date or telephone number); `score`, the mean of these weighted as
        `CARREL_SCORE_PARTS` says, times 100; and by column `columns`: type, missing, distinct,
        form, invalid.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.register("frame", frame)
        rows, distinct = connection.execute(
            "select count(*), count(distinct frame) from frame"
        ).fetchall()[0]
        types = connection.execute("select column_name, column_type from (describe frame)")
        columns = {c: _column(connection, c, kind, rows) for c, kind in types.fetchall()}
    missing = sum(c["missing"] for c in columns.values())
    formed = sum(rows - c["missing"] for c in columns.values() if c["form"])
    parts = {
        "completeness": _share(missing, rows * len(columns)),
        "uniqueness": _share(rows - distinct, rows),
        "validity": _share(sum(c["invalid"] for c in columns.values()), formed),
    }
    told = {"name": name, "rows": rows, "duplicates": rows - distinct}
    return told | parts | {"score": _score(parts), "columns": columns}


def _column(
    connection: duckdb.DuckDBPyConnection, name: str, kind: str, rows: int
) -> dict[str, Any]:
    """What one column holds, each form counted in the same scan."""
    quoted = '"' + name.replace('"', '""') + '"'
    is_text = kind == "VARCHAR"
    value = f"nullif(trim({quoted}), '')" if is_text else quoted
    forms = _forms() if is_text else {}
    counts = ", ".join(
        f"count(*) filter (where try_cast({value} as date) is not null)"
        if form == DATE
        else f"count(*) filter (where regexp_full_match({value}, ?))"
        for form in forms
    )
    (there, distinct, *found), = connection.execute(
        f"select count({value}), count(distinct {value}), {counts} from frame",  # noqa: S608
        [pattern for form, pattern in forms.items() if form != DATE],
    ).fetchall()  # fmt: skip
    mostly = (f for f in zip(forms, found, strict=True) if f[1] > MOSTLY * there)
    form, having = next(mostly, (None, there))
    return {
        "type": kind.lower(),
        "missing": rows - there,
        "distinct": distinct,
        "form": form,
        "invalid": there - having,
    }


@cache
def _forms() -> dict[str, str]:
    """Patterns by form, those of the shared checks; a date is tried against the calendar.

    A date could be read as a telephone number, so that comes last.
    """
    email, phone = (
        read_shared(SHIPPED / f"{name}.yml").check["invalid"]["valid_format"]
        for name in ("email", "phone")
    )
    return {email["name"]: email["regex"], DATE: "", phone["name"]: phone["regex"]}


def _share(wrong: int, of: int) -> float | None:
    return 1 - wrong / of if of else None


def _score(parts: dict[str, float | None]) -> float | None:
    weighed = [(weights().parts[p], s) for p, s in parts.items() if s is not None]
    total = sum(w for w, _ in weighed)
    return 100 * sum(w * s for w, s in weighed) / total if total else None


def get_quality_report() -> dict[str, dict[str, Any]]:
    """How every dataset stands after its newest run, by name.

    Each has `outcome` (trusted, warnings, held back or failed to run), `at`, `score` of 100 with
    its `parts`, `checks`, `passed`, and `failing`: check, severity, measured, threshold.
    """
    with engine().connect() as connection:
        rows = connection.execute(_REPORT).mappings().all()
    return {row["dataset"]: {k: v for k, v in row.items() if k != "dataset"} for row in rows}


_REPORT = text("""
select o.dataset, o.outcome, o.at, s.score::float as score, s.parts, o.checks, o.passed,
    coalesce(f.failing, '[]') as failing
from quality.outcomes o
left join lateral (
    select score, parts from quality.scores
    where level = 'dataset' and subject = o.dataset order by score_id desc limit 1
) s on true
left join lateral (
    select jsonb_agg(jsonb_build_object('check', name, 'severity', severity, 'measured', measured,
        'threshold', threshold) order by name) as failing
    from quality.results where verdict_id = o.verdict_id and outcome <> 'passed'
) f on true
order by o.dataset
""")
