"""One dataset: what it is, its columns, checks, loads, and what waits in quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bi_app.models import quality
from bi_app.models.pipelines import seconds
from bi_app.models.quality import Row, Score, Standing, badge, figure, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from warehouse import scoring
from warehouse.access import Viewer

COLUMN_COLUMNS = (
    Column("name", "Column"),
    Column("type", "Type"),
    Column("privacy", "Privacy", "badge"),
    Column("meaning", "Meaning"),
)
PRIVACY = {"pseudonym": "warn|pseudonym", "personal": "bad|personal", None: "|open"}
LOAD_COLUMNS = (
    Column("started_at", "Started", "moment"),
    Column("state", "State", "badge"),
    Column("took", "Took"),
    Column("rows_in", "Rows in", "integer"),
    Column("rows_inserted", "Inserted", "integer"),
    Column("rows_updated", "Updated", "integer"),
    Column("rows_unchanged", "Unchanged", "integer"),
    Column("rows_quarantined", "Held back", "integer"),
    Column("contract", "Contract", "badge"),
)
STATES = {"done": "good", "unchanged": "", "failed": "bad", "landing": "warn", "landed": "warn"}
VERDICTS = {"passed": "good|passed", "failed": "bad|failed", "error": "bad|not measured"}
LOADS = (
    "One line a file that was brought in: rows in = inserted + updated + unchanged + held back +"
    " ignored. `unchanged` in the state: the file was known by its checksum and left alone."
)
RULE_COLUMNS = (
    Column("rule", "Rule", "link"),
    Column("column_name", "Column"),
    Column("newest", "Newest load", "integer"),
    Column("records", "Last 30 loads", "integer"),
    Column("last_at", "Last seen", "moment"),
)
SAMPLE_COLUMNS = (
    Column("rule", "Rule"),
    Column("column_name", "Column"),
    Column("value", "Value"),
    Column("path", "File"),
    Column("line_no", "Line", "integer"),
    Column("at", "Load", "moment"),
)
SAMPLES = (
    "Findings of the newest loads. Values of private columns are never shown, nor those of a record"
    " whose shape is at fault, in which columns may have slipped."
)
PROFILE_COLUMNS = (
    Column("column", "Column"),
    Column("nulls", "Nulls", "percent"),
    Column("distinct", "Distinct", "integer"),
    Column("least", "Least"),
    Column("greatest", "Greatest"),
    Column("mean", "Mean"),
    Column("top", "Most frequent"),
)


def names(viewer: Viewer) -> dict[str, str]:
    """Every dataset with its title, by title."""
    return {r["name"]: r["title"] for r in rows(viewer, "dataset_names")}


def check_history(viewer: Viewer, name: str, check: str) -> Sequence[Row]:
    """Each measured value of a check in a year, oldest first: at, value, bad, threshold."""
    return rows(viewer, "check_history", {"dataset": name, "name": check})


def bound(found: Sequence[Row]) -> float | None:
    """The number of the newest threshold, where it is one number."""
    said = quality.threshold(found[-1]["threshold"]) if found else ""
    try:
        return float(said.rpartition(" ")[2])
    except ValueError:
        return None


def described(viewer: Viewer, name: str) -> Row | None:
    """What the catalogue says of a dataset; None when there is none of this name."""
    found = rows(viewer, "dataset", {"dataset": name})
    return found[0] if found else None


def columns(entry: Row) -> Table:
    """The dataset's columns: type, privacy and meaning; those of the key are marked."""
    keys = set(entry["key_columns"])
    records = [
        {
            **c,
            "name": f"{c['name']} (key)" if c["name"] in keys else c["name"],
            "privacy": PRIVACY.get(c.get("privacy"), f"warn|{c.get('privacy')}"),
            "meaning": c.get("meaning") or "",
        }
        for c in entry["columns"]
    ]
    return table("columns", "Columns", COLUMN_COLUMNS, records)


def loads(viewer: Viewer, name: str) -> Table:
    """The newest hundred loads."""
    records = [
        {
            **r,
            "state": badge(r["state"], STATES),
            "took": "" if r["seconds"] is None else seconds(r["seconds"]),
            "contract": VERDICTS.get(r["contract"] or "", ""),
        }
        for r in rows(viewer, "load_history", {"dataset": name})
    ]
    return table("loads", "Loads", LOAD_COLUMNS, records, [LOADS])


def rules(viewer: Viewer, name: str) -> Table:
    """Records held back, by rule and column."""
    records = [
        {
            **r,
            "rule": quality.link(r["rule"], "dataset", name=name, rule=r["rule"]),
            "column_name": r["column_name"] or "",
        }
        for r in rows(viewer, "quarantine_rules", {"dataset": name})
    ]
    return table("rules", "Records held back", RULE_COLUMNS, records)


def samples(viewer: Viewer, name: str, rule: str | None) -> Table:
    """Findings that an admin may see; the database shows nobody else any."""
    records = [
        {
            **r,
            "column_name": r["column_name"] or "",
            "value": "(hidden)" if r["hidden"] else r["value"] or "",
            "path": r["path"] or "",
        }
        for r in rows(viewer, "quarantine_samples", {"dataset": name, "rule": rule})
    ]
    return table("samples", "Samples from quarantine", SAMPLE_COLUMNS, records, [SAMPLES])


def cards(now: Standing, entry: Row) -> list[dict[str, Any]]:
    """The figures on top of a dataset's page."""
    row, score = now.datasets[0], now.scores.get(entry["name"])
    words = now.outcome(row)
    return [
        figure("outcome", "Newest run", words.capitalize(), _why(row, words), quality.OUTCOMES,
               look=quality.LOOKS.get(words, ""), text=True),
        _score(score),
        figure("rows", "Rows", _number(row["rows_after"]), "after the newest load",
               f"Each is {entry['grain']}."),
        figure("loaded", "Newest load", _number(row["rows_in"]),
               f"rows in, {_number(row['rows_loaded'])} of them new or changed", LOADS),
        figure("quarantined", "Held back", _number(row["rows_quarantined"]), "of the newest load",
               "Records that broke a rule and wait in quarantine; none of them is lost.",
               look="warn" if row["rows_quarantined"] else ""),
    ]  # fmt: skip


def _why(row: Row, words: str) -> str:
    if words == "failed to run":
        return str(row["failure"] or "")[:90]
    if not row["checks"]:
        return "no verdict yet"
    return f"{row['passed']:,} of {row['checks']:,} checks hold"


def _score(score: Score | None) -> dict[str, Any]:
    if score is None:
        return figure("score", "Score", "–", "nothing is judged yet", scoring.OF_DATASET)
    return figure(
        "score", "Score", f"{score.value:.1f}", "of 100", "", score=score.shown(),
        look="bad" if score.value < 80 else "warn" if score.value < 95 else "good",
    )  # fmt: skip


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
