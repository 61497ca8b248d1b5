"""One dataset: what it is, its columns, checks, loads, and what waits in quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bi_app import words
from bi_app.models import quality
from bi_app.models.pipelines import seconds
from bi_app.models.quality import Row, Score, Standing, badge, figure, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse import scoring
from warehouse.access import Viewer

COLUMN_COLUMNS = (
    Column("name", "Column"),
    Column("type", "Type"),
    Column("privacy", "Privacy", "badge"),
    Column("meaning", "Meaning"),
)
PRIVACY = {N_("pseudonym"): "warn", N_("personal"): "bad"}
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
STATES = {
    "done": "good", N_("unchanged"): "", "failed": "bad", N_("landing"): "warn",
    N_("landed"): "warn",
}  # fmt: skip
VERDICTS = {
    "passed": ("good", N_("passed")), "failed": ("bad", N_("failed")),
    "error": ("bad", N_("not measured")),
}  # fmt: skip
LOADS = N_(
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
SAMPLES = N_(
    "Findings of the newest loads. Values of private columns are never shown, nor those of a record"
    " whose shape is at fault, in which columns may have slipped."
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
            "name": _("{column} (key)", column=c["name"]) if c["name"] in keys else c["name"],
            "privacy": _privacy(c.get("privacy")),
            "meaning": c.get("meaning") or "",
        }
        for c in entry["columns"]
    ]
    return table("columns", "Columns", COLUMN_COLUMNS, records)


def _privacy(kind: str | None) -> str:
    return f"{PRIVACY.get(kind, 'warn')}|{_(kind)}" if kind else f"|{_('open')}"


def _verdict(outcome: str | None) -> str:
    look, told = VERDICTS.get(outcome or "", ("", ""))
    return f"{look}|{_(told)}" if told else ""


def loads(viewer: Viewer, name: str) -> Table:
    """The newest hundred loads."""
    records = [
        {
            **r,
            "state": badge(r["state"], STATES),
            "took": "" if r["seconds"] is None else seconds(r["seconds"]),
            "contract": _verdict(r["contract"]),
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
            "value": _("(hidden)") if r["hidden"] else r["value"] or "",
            "path": r["path"] or "",
        }
        for r in rows(viewer, "quarantine_samples", {"dataset": name, "rule": rule})
    ]
    return table("samples", "Samples from quarantine", SAMPLE_COLUMNS, records, [SAMPLES])


def cards(now: Standing, entry: Row) -> list[dict[str, Any]]:
    """The figures on top of a dataset's page."""
    row, score = now.datasets[0], now.scores.get(entry["name"])
    outcome = now.outcome(row)
    return [
        figure("outcome", "Newest run", _capital(_(outcome)), _why(row, outcome), quality.OUTCOMES,
               look=quality.LOOKS.get(outcome, ""), text=True),
        _score(score),
        figure("rows", "Rows", _number(row["rows_after"]), _("after the newest load"),
               _("Each is {grain}.", grain=entry["grain"])),
        figure("loaded", "Newest load", _number(row["rows_in"]),
               _("rows in, {number} of them new or changed", number=_number(row["rows_loaded"])),
               LOADS),
        figure("quarantined", "Held back", _number(row["rows_quarantined"]),
               _("of the newest load"),
               "Records that broke a rule and wait in quarantine; none of them is lost.",
               look="warn" if row["rows_quarantined"] else ""),
    ]  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _why(row: Row, outcome: str) -> str:
    if outcome == "failed to run":
        return str(row["failure"] or "")[:90]
    if not row["checks"]:
        return _("no verdict yet")
    return _("{passed} of {checks} checks hold", passed=row["passed"], checks=row["checks"])


def _score(score: Score | None) -> dict[str, Any]:
    if score is None:
        return figure("score", "Score", "–", _("nothing is judged yet"), scoring.OF_DATASET)
    return figure(
        "score", "Score", words.decimal(score.value), _("of 100"), "", score=score.shown(),
        look="bad" if score.value < 80 else "warn" if score.value < 95 else "good",
    )  # fmt: skip


def _number(value: int | None) -> str:
    return "–" if value is None else words.whole(value)
