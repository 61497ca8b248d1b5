"""Whether figures may be trusted: outcomes in four words, scores with their parts, checks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bi_app import words
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _, joined
from warehouse import scoring
from warehouse.access import Viewer
from warehouse.settings import settings

Row = Mapping[str, Any]
LOOKS = {
    N_("trusted"): "good",
    N_("with warnings"): "warn",
    N_("held back"): "bad",
    N_("failed to run"): "bad",
    N_("not judged"): "",
}
SEVERITIES = {N_("critical"): "bad", N_("warning"): "warn", N_("info"): ""}
SCORE = joined(
    f"{scoring.OF_GROUP}.",
    N_("Of a dataset:"),
    f"{scoring.OF_DATASET}.",
)
OUTCOMES = N_(
    "Trusted: every check of the contract held. With warnings: published, with checks that people"
    " should know of, or by a person's decision. Held back: a critical check did not hold, so the"
    " figures are still the ones before. Failed to run: the newest run ended with an error."
)
FAILING = N_(
    "Checks of the newest verdict of each dataset that do not hold, the gravest first. Since: the"
    " first verdict after the last one in which the check held."
)
TREND = N_("The score at the end of each day, over all datasets, weighted as the formula says.")


@dataclass(frozen=True)
class Score:
    """A health score from 0 to 100 with what it is made of; `trend` is the oldest first."""

    value: float
    formula: str
    parts: Sequence[Mapping[str, Any]]
    trend: Sequence[float | None] = ()

    def shown(self) -> dict[str, Any]:
        """As plain values, for the browser."""
        return {"score": round(self.value, 1), "formula": _(self.formula), "parts": self.named()}

    def named(self) -> list[list[Any]]:
        """Name, weight and score of each part."""
        return [
            [
                _(str(p.get("part") or p.get("dataset") or p.get("pipeline") or p.get("name"))),
                p.get("weight"),
                p.get("score"),
                ", ".join(p.get("lost") or ()),
            ]
            for p in self.parts
        ]


def badge(state: str, looks: Mapping[str, str] = LOOKS) -> str:
    """Words of ours with their look, as `look|words`, in the language of the task."""
    return f"{looks.get(state, '')}|{_(state)}"


def link(text: str, page: str, **query: str) -> str:
    """A link to another page, as `address|text`."""
    asked = "&".join(f"{k}={quote(v)}" for k, v in query.items())
    return f"/{page}?{asked}|{text}"


@dataclass(frozen=True)
class Standing:
    """How all datasets stand, or one."""

    datasets: Sequence[Row]
    outcomes: Mapping[str, Row]
    scores: Mapping[str, Score]
    whole: Score | None

    def outcome(self, row: Row) -> str:
        """What became of a dataset's newest run, in four words; `not judged` before the first."""
        known = self.outcomes.get(row["dataset"])
        return str(known["outcome"]) if known else "not judged"

    def count(self, outcome: str) -> int:
        """How many datasets have an outcome."""
        return sum(self.outcome(row) == outcome for row in self.datasets)


def standing(viewer: Viewer, dataset: str | None = None) -> Standing:
    """How datasets stand: newest verdict, run and load, outcome and score of each."""
    asked = {"dataset": dataset}
    scored = rows(viewer, "scores", asked)
    return Standing(
        rows(viewer, "quality_datasets", asked),
        {r["dataset"]: r for r in rows(viewer, "outcomes", asked)},
        {r["subject"]: _score(r) for r in scored if r["level"] == "dataset"},
        next((_score(r) for r in scored if r["level"] == "whole"), None),
    )


def _score(row: Row) -> Score:
    parts = row["parts"] if isinstance(row["parts"], list) else []
    return Score(float(row["score"]), row["formula"], parts, row["trend"][::-1])


DATASET_COLUMNS = (
    Column("title", "Dataset", "link"),
    Column("outcome", "Outcome", "badge"),
    Column("score", "Score", "score"),
    Column("trend", "Trend", "spark"),
    Column("checks", "Checks that hold"),
    Column("held", "Held records", "integer"),
    Column("judged_at", "Judged", "moment"),
)
WORST = {"failed to run": 0, "held back": 1, "with warnings": 2, "trusted": 3, "not judged": 4}


def datasets_table(now: Standing) -> Table:
    """Every dataset with its outcome and score, the worst on top."""
    ordered = sorted(
        now.datasets, key=lambda r: (WORST.get(now.outcome(r), 3), _value(now, r), r["title"])
    )
    records = [
        {
            "title": link(r["title"], "dataset", name=r["dataset"]),
            "outcome": badge(now.outcome(r)),
            "score": s.shown() if (s := now.scores.get(r["dataset"])) else None,
            "trend": list(s.trend) if s else [],
            "checks": _("{passed} of {checks}", passed=r["passed"], checks=r["checks"])
            if r["checks"]
            else "",
            "held": r["rows_quarantined"],
            "judged_at": r["judged_at"],
        }
        for r in ordered
    ]
    return table("datasets", "Datasets", DATASET_COLUMNS, records)


def _value(now: Standing, row: Row) -> float:
    score = now.scores.get(row["dataset"])
    return score.value if score else 101


def table(
    name: str,
    title: str,
    columns: Sequence[Column],
    records: Sequence[Row],
    notes: Sequence[str] = (),
) -> Table:
    """Records as a table."""
    data = {c.key: [r[c.key] for r in records] for c in columns}
    return Table(name, title, columns, data, notes)


FAILING_COLUMNS = (
    Column("severity", "Severity", "badge"),
    Column("title", "Dataset", "link"),
    Column("name", "Check", "link"),
    Column("measured", "Measured", "number"),
    Column("threshold", "Threshold"),
    Column("since", "Since", "moment"),
    Column("held", "Held records", "link"),
    Column("trend", "Measured of late", "spark"),
)


def failing(viewer: Viewer) -> Table:
    """The checks that do not hold, the gravest and oldest first."""
    records = [
        {
            **r,
            "severity": badge(r["severity"], SEVERITIES),
            "title": link(r["title"], "dataset", name=r["dataset"]),
            "name": link(r["name"], "dataset", name=r["dataset"], check=r["name"]),
            "threshold": threshold(r["threshold"]),
            "held": link(words.whole(r["held"]), "dataset", name=r["dataset"], check=r["name"])
            if r["held"]
            else "",
            "trend": (r["trend"] or [])[::-1],
        }
        for r in rows(viewer, "quality_failing")
    ]
    return table("failing", "Failing checks", FAILING_COLUMNS, records, [FAILING])


WORDS = {
    "must be greater than or equal": N_("at least"),
    "must be less than or equal": N_("at most"),
    "must be greater than": N_("more than"),
    "must be less than": N_("less than"),
    "must not be": N_("not"),
    "must be": N_("exactly"),
}


def threshold(text: str | None) -> str:
    """A threshold as people say it: `at most 10`."""
    said = str(text or "").replace("must_", "must ").replace("_", " ")
    for key, told in WORDS.items():
        said = said.replace(f"{key}:", _(told)).replace(f"{key} ", f"{_(told)} ")
    return said


CHECK_COLUMNS = (
    Column("state", "State", "badge"),
    Column("name", "Check", "link"),
    Column("column_name", "Column"),
    Column("part", "Part"),
    Column("measured", "Measured", "number"),
    Column("threshold", "Threshold"),
    Column("failures", "Failed before"),
    Column("trend", "Measured of late", "spark"),
)


def checks(viewer: Viewer, dataset: str) -> Table:
    """Every check of a dataset, failing ones first."""
    records = [
        {
            **r,
            "state": _state(r),
            "name": link(r["name"], "dataset", name=dataset, check=r["name"]),
            "part": _(r["part"] or ""),
            "column_name": r["column_name"] or "",
            "threshold": threshold(r["threshold"]),
            "failures": _("{failures} of {times}", failures=r["failures"], times=r["times"])
            if r["failures"]
            else _("never"),
            "trend": (r["trend"] or [])[::-1],
        }
        for r in rows(viewer, "quality_checks", {"dataset": dataset})
    ]
    return table("checks", "Checks", CHECK_COLUMNS, records)


def _state(row: Row) -> str:
    if row["outcome"] == "passed":
        return f"good|{_('holds')}"
    look = SEVERITIES.get(row["severity"], "")
    return f"{look}|{_(row['severity'] if row['outcome'] == 'failed' else row['outcome'])}"


def trend(viewer: Viewer, dataset: str | None = None) -> list[tuple[dt.date, float]]:
    """Day and score, over a year."""
    asked = {
        "zone": settings().timezone,
        "level": "dataset" if dataset else "whole",
        "subject": dataset or "all",
    }
    return [(r["day"], round(r["value"], 2)) for r in rows(viewer, "score_trend", asked)]


RULE_COLUMNS = (
    Column("dataset", "Dataset", "link"),
    Column("rule", "Rule"),
    Column("column_name", "Column"),
    Column("newest", "Newest load", "integer"),
    Column("records", "Last 5 loads", "integer"),
    Column("last_at", "Last seen", "moment"),
)


def held_records(viewer: Viewer, now: Standing) -> Table:
    """Records in quarantine by dataset and rule, of datasets whose newest load held some back."""
    asked = [r["dataset"] for r in now.datasets if r["rows_quarantined"]]
    titles = {r["dataset"]: r["title"] for r in now.datasets}
    found = rows(viewer, "quarantine_counts", {"datasets": asked}) if asked else []
    records = [
        {
            **r,
            "dataset": link(titles[r["dataset"]], "dataset", name=r["dataset"], rule=r["rule"]),
            "column_name": r["column_name"] or "",
        }
        for r in found
    ]
    return table("rules", "Records held back", RULE_COLUMNS, records)


def alert_counts(viewer: Viewer) -> Row:
    """How many alerts stand: `standing`, `critical`, `untouched`."""
    return dict(rows(viewer, "alert_counts")[0])


def figure(
    name: str, title: str, value: str, note: str, definition: str, **more: Any
) -> dict[str, Any]:
    """A card with a note in place of a change; `look` colours it, `score` tells its parts."""
    return {
        "name": name, "title": _(title), "value": value, "note": note, "definition": _(definition),
        "spark": [], **more,
    }  # fmt: skip


def cards(now: Standing, failing_checks: Table, alerts: Row) -> list[dict[str, Any]]:
    """The figures on top of the quality page."""
    total, good = len(now.datasets), now.count("trusted")
    bad = now.count("held back") + now.count("failed to run")
    held = sum(r["rows_quarantined"] or 0 for r in now.datasets)
    count = len(failing_checks)
    grave = sum(s.startswith("bad") for s in failing_checks.data["severity"])
    return [
        _health(now.whole),
        figure("trusted", "Trusted datasets", _("{good} of {total}", good=good, total=total),
               _("{count} more with warnings", count=now.count("with warnings")), OUTCOMES),
        figure("held", "Held back or failed", words.whole(bad),
               _("their figures are older") if bad else _("nothing is held back"), OUTCOMES,
               look="bad" if bad else ""),
        figure("failing", "Failing checks", words.whole(count),
               _("{count} critical", count=grave), FAILING,
               look="bad" if grave else "warn" if count else ""),
        figure("records", "Records held back", words.whole(held), _("in the newest loads"),
               "Records that broke a rule and wait in quarantine: the sum over the newest load of"
               " each dataset. None of them is lost."),
        figure("alerts", "Open alerts", words.whole(alerts["standing"]),
               _("{count} nobody is on", count=alerts["untouched"]),
               "Alerts that stand and are not snoozed.",
               look="bad" if alerts["critical"] else ""),
    ]  # fmt: skip


def _health(whole: Score | None) -> dict[str, Any]:
    if whole is None:
        return figure("health", "Health", "–", _("nothing is judged yet"), SCORE)
    parts = sorted(whole.named(), key=lambda p: (p[2] is None, p[2]))
    shown = {**whole.shown(), "parts": parts[:12], "more": max(0, len(parts) - 12)}
    return figure(
        "health", "Health", words.decimal(whole.value), _("of 100"), "", score=shown,
        look="bad" if whole.value < 80 else "warn" if whole.value < 95 else "good",
    )  # fmt: skip
