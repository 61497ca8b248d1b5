"""The health score of a dataset, of a pipeline (a group of datasets) and of the whole, 0 to 100.

A dataset's newest verdict gives its score:

    score = 100 * sum(W[p] * s[p]) / sum(W[p])   over the parts p that have checks
    s[p]  = sum(w[c] * h[c]) / sum(w[c])         over the checks c of part p

h[c] is 1 where the check holds, 1/2 where only its warning level is crossed (Soda's `level: warn`),
0 where it does not hold or could not be measured. w[c] is the weight of its severity, W[p] that of
the part (completeness, validity, uniqueness, consistency, freshness, volume, rules). Checks and
parts of weight 0 do not count; a dataset none of whose checks counts has no score.

    score of a pipeline or the whole = sum(D[d] * score[d]) / sum(D[d])   over its judged datasets d

W, w and D are the settings CARREL_SCORE_PARTS, CARREL_SCORE_SEVERITIES and CARREL_SCORE_DATASETS.
A score is kept with the formula and the weights that gave it and with its parts, so that it can be
worked out again by hand. docs/quality.md has an example.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, text

from quality.contract import PARTS, SEVERITIES
from quality.soda import Check
from warehouse import scoring
from warehouse.database import engine
from warehouse.errors import ConfigurationError
from warehouse.settings import settings
from warehouse.spec import Dataset, datasets

Level = Literal["dataset", "pipeline", "whole"]
WHOLE = "all"


@dataclass(frozen=True)
class Part:
    """A part of a dataset's score: `lost` are the names of the checks that do not hold."""

    part: str
    weight: float
    score: float
    checks: int
    held: int
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """A dataset in the score of its pipeline or of the whole."""

    dataset: str
    weight: float
    score: float


@dataclass(frozen=True)
class Score:
    """A score of 0 to 100 with what it is made of and how; `weight` is that in the score above."""

    level: Level
    subject: str
    score: float
    weight: float
    formula: str
    parts: tuple[Part, ...] | tuple[Member, ...]


@dataclass(frozen=True)
class Weights:
    """The weights of parts, severities and datasets, as the settings say."""

    parts: Mapping[str, float]
    severities: Mapping[str, float]
    datasets: Mapping[str, float]

    def of(self, dataset: str) -> float:
        """The weight of a dataset: 1 unless the setting says another."""
        return self.datasets.get(dataset, 1.0)


def weights() -> Weights:
    """The weights that the settings say.

    Raises:
        ConfigurationError: a setting names what there is not, or its weight is no number from 0.
    """
    asked = settings()
    return Weights(
        _read("CARREL_SCORE_PARTS", asked.score_parts, PARTS),
        _read("CARREL_SCORE_SEVERITIES", asked.score_severities, SEVERITIES),
        _read("CARREL_SCORE_DATASETS", asked.score_datasets, None),
    )


def _read(name: str, said: str, known: Iterable[str] | None) -> dict[str, float]:
    """`a=1,b=0.5` as weights; those of `known` that are not named weigh 1."""
    found = dict.fromkeys(known or (), 1.0)
    for entry in filter(None, (e.strip() for e in said.split(","))):
        key, _, value = (p.strip() for p in entry.partition("="))
        if known is not None and key not in found:
            raise ConfigurationError(
                f"{name}: {key!r} is unknown.", remedy=f"Known: {', '.join(found)}."
            )
        if not value.replace(".", "", 1).isdecimal():
            raise ConfigurationError(f"{name}: {entry!r} is no `name=weight` with a weight from 0.")
        found[key] = float(value)
    return found


def dataset_score(dataset: str, checks: Iterable[Check], by: Weights) -> Score | None:
    """The score of a dataset by its checks; None where no check counts."""
    of_part: dict[str, list[Check]] = {}
    for check in checks:
        if by.severities[check.severity] > 0 and by.parts[check.part] > 0:
            of_part.setdefault(check.part, []).append(check)
    parts = tuple(_part(p, of_part[p], by) for p in PARTS if p in of_part)
    if not parts:
        return None
    score = sum(p.weight * p.score for p in parts) / sum(p.weight for p in parts)
    return Score("dataset", dataset, round(score, 2), by.of(dataset), _formula(by), parts)


def _part(part: str, checks: list[Check], by: Weights) -> Part:
    whole = sum(by.severities[c.severity] for c in checks)
    held = sum(by.severities[c.severity] * _held(c) for c in checks)
    lost = tuple(c.name for c in checks if not c.holds)
    return Part(
        part,
        by.parts[part],
        round(100 * held / whole, 2),
        len(checks),
        len(checks) - len(lost),
        lost,
    )


def _held(check: Check) -> float:
    return {"passed": 1.0, "warned": 0.5}.get(check.outcome, 0.0)


def _formula(by: Weights) -> str:
    said = ", ".join(f"{name} {weight:g}" for name, weight in by.severities.items())
    return f"{scoring.OF_DATASET} ({said}; half where only a warning level is crossed)"


def group_score(level: Level, subject: str, members: Iterable[Member]) -> Score | None:
    """The score of a pipeline or of the whole; None where nothing in it has been judged."""
    counted = tuple(m for m in members if m.weight > 0)
    if not counted:
        return None
    weight = sum(m.weight for m in counted)
    score = sum(m.weight * m.score for m in counted) / weight
    return Score(level, subject, round(score, 2), weight, scoring.OF_GROUP, counted)


# Kept with each run ------------------------------------------------------------------------------


def keep(
    connection: Connection,
    dataset: Dataset,
    checks: Iterable[Check],
    verdict_id: int,
    run_id: str | None,
) -> list[Score]:
    """Work out and keep the scores that a verdict changes: of the dataset, its group, the whole.

    Raises:
        ConfigurationError: a setting of weights is wrong.
    """
    by = weights()
    own = dataset_score(dataset.table, checks, by)
    if own is None:
        return []
    kept = [_keep(connection, own, verdict_id, run_id)]
    known = datasets() | {dataset.table: dataset}
    latest = _latest(connection, list(known))
    members = [Member(name, by.of(name), latest[name]) for name in known if name in latest]
    group = [m for m in members if known[m.dataset].group == dataset.group]
    for score in (
        group_score("pipeline", dataset.group, group),
        group_score("whole", WHOLE, members),
    ):
        if score:
            kept.append(_keep(connection, score, None, run_id))
    return kept


def _keep(
    connection: Connection, score: Score, verdict_id: int | None, run_id: str | None
) -> Score:
    parts = json.dumps([asdict(part) for part in score.parts])
    facts = asdict(score) | {"verdict_id": verdict_id, "run_id": run_id, "parts": parts}
    connection.execute(_FORGET, facts)  # a run keeps one score a subject: its last
    connection.execute(_KEEP, facts)
    return score


_FORGET = text(
    "delete from quality.scores where run_id = :run_id and level = :level and subject = :subject"
)
_KEEP = text(
    "insert into quality.scores"
    " (run_id, verdict_id, level, subject, score, weight, formula, parts)"
    " values (:run_id, :verdict_id, :level, :subject, :score, :weight, :formula,"
    " cast(:parts as jsonb))"
)


def _latest(connection: Connection, names: list[str]) -> dict[str, float]:
    """The newest score of each dataset that has one."""
    rows = connection.execute(_LATEST, {"names": names})
    return {row.subject: float(row.score) for row in rows}


_LATEST = text("""
select named.subject, newest.score
from unnest(cast(:names as text[])) as named (subject)
cross join lateral (
    select score from quality.scores
    where level = 'dataset' and subject = named.subject order by score_id desc limit 1
) as newest
""")


@dataclass(frozen=True)
class Kept:
    """A score as it was kept, with the outcome of the newest run where it is a dataset's."""

    level: Level
    subject: str
    score: float
    weight: float
    formula: str
    parts: tuple[dict[str, Any], ...]
    at: dt.datetime
    outcome: str | None


def standing_scores(run_id: str | None = None) -> list[Kept]:
    """The newest score of every subject, the whole first, then pipelines, then datasets.

    With a run's id: the scores that the run gave.
    """
    with engine().connect() as connection:
        rows = connection.execute(_STANDING, {"run_id": run_id}).all()
    return [
        Kept(
            r.level, r.subject, float(r.score), r.weight, r.formula, tuple(r.parts), r.at, r.outcome
        )
        for r in rows
    ]


_STANDING = text("""
select newest.*, case when level = 'dataset' then outcomes.outcome end as outcome
from (
    select distinct on (level, subject) level, subject, score, weight, formula, parts, at
    from quality.scores where cast(:run_id as text) is null or run_id = :run_id
    order by level, subject, score_id desc
) as newest
left join quality.outcomes on outcomes.dataset = newest.subject
order by array_position(array['whole', 'pipeline', 'dataset'], level), subject
""")
