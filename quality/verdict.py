"""The verdict on a dataset: may its gold be published?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import text

from quality import overrides, score
from quality.contract import contract
from quality.references import Lost, lost_keys
from quality.soda import Check, Measurement, measure
from warehouse.database import engine
from warehouse.settings import settings
from warehouse.spec import Dataset

Outcome = Literal["passed", "failed", "error"]
Standing = Literal["trusted", "warnings", "held back"]


@dataclass(frozen=True)
class Verdict:
    """What the contract says of a dataset as it stands in silver.

    `passed`: every check was evaluated and no critical one failed; `failed`: a critical check did
    not hold; `error`: a check could not be evaluated. Only `passed` lets gold be published, or a
    person who published the same rows in spite of the same checks.
    """

    dataset: str
    outcome: Outcome
    checks: tuple[Check, ...] = ()
    message: str | None = None
    load_id: int | None = None
    run_id: str | None = None
    verdict_id: int | None = None  # of quality.verdicts, once it is kept
    lost: tuple[Lost, ...] = ()  # rows that name what is not there
    published_by: str | None = None  # who did so in spite of the contract

    @property
    def passed(self) -> int:
        """How many checks held."""
        return sum(c.outcome == "passed" for c in self.checks)

    @property
    def publishes(self) -> bool:
        """Whether gold may be published."""
        return self.outcome == "passed" or self.published_by is not None

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The checks that people should know of, though they hold nothing back."""
        return tuple(c for c in self.checks if c.warns)

    @property
    def standing(self) -> Standing:
        """What became of the load: trusted, warnings, or held back."""
        if not self.publishes:
            return "held back"
        return "warnings" if self.warnings or self.published_by else "trusted"

    def __str__(self) -> str:
        said = f"{self.outcome}: {self.passed} of {len(self.checks)} checks passed"
        if self.published_by:
            said += f"; published anyway by {self.published_by}"
        return f"{said}; {self.message}" if self.message else said


def judge(dataset: Dataset, *, load_id: int | None = None, run_id: str | None = None) -> Verdict:
    """Measure the dataset's contract and save the verdict.

    Raises:
        SpecError: the dataset has no contract, or the contract is wrong.
        ConfigurationError: the weights of the score are wrong.
    """
    score.weights()  # wrong ones are said before anything is measured
    measured = measure(contract(dataset))
    verdict = Verdict(
        dataset=dataset.table,
        outcome=_outcome(measured),
        checks=measured.checks,
        message=_message(measured),
        load_id=load_id,
        run_id=run_id,
        lost=lost_keys(dataset, {c.name: c.measured for c in measured.checks}),
    )
    verdict_id, published_by = save(verdict, dataset)
    return replace(verdict, verdict_id=verdict_id, published_by=published_by)


def _outcome(measured: Measurement) -> Outcome:
    """The gate: all was evaluated, there was something to evaluate, and nothing critical failed."""
    outcomes = Counter(c.outcome for c in measured.checks)
    if measured.errors or outcomes["not evaluated"] or outcomes["excluded"] or not outcomes:
        return "error"
    if not measured.is_ok and not outcomes["failed"]:  # Soda knows of a fault that no check shows
        return "error"
    return "failed" if any(c.blocks for c in measured.checks) else "passed"


def _message(measured: Measurement) -> str | None:
    if measured.errors:
        return "; ".join(measured.errors)
    failed = [c.name for c in measured.checks if c.blocks]
    warned = [c.name for c in measured.checks if c.warns]
    said = [f"not held: {', '.join(failed)}"] if failed else []
    said += [f"warnings: {', '.join(warned)}"] if warned else []
    return "; ".join(said) or None


def save(verdict: Verdict, dataset: Dataset) -> tuple[int, str | None]:
    """Keep a verdict, its results and the scores that follow from it.

    Returns its id, and who published the same rows in spite of the same checks before.
    """
    with engine().begin() as connection:
        verdict_id = connection.execute(_SAVE_VERDICT, _verdict_row(verdict)).scalar_one()
        rows = [_result_row(verdict_id, c) for c in verdict.checks]
        if rows:
            connection.execute(_SAVE_RESULTS, rows)
        if verdict.lost:
            connection.execute(
                _SAVE_LOST, [{"verdict_id": verdict_id, **vars(x)} for x in verdict.lost]
            )
        score.keep(connection, dataset, verdict.checks, verdict_id, verdict.run_id)
        held = verdict.outcome == "failed"
        who = overrides.carry(connection, verdict.dataset, verdict_id) if held else None
    return int(verdict_id), who


_SAVE_VERDICT = text(
    "insert into quality.verdicts"
    " (dataset, load_id, run_id, outcome, checks, passed, warnings, message, day)"
    " select :dataset, :load_id, :run_id, :outcome, :checks, :passed, :warnings, :message,"
    " (coalesce((select started_at from ops.loads where load_id = :load_id), now())"
    " at time zone :timezone)::date"
    " returning verdict_id"
)
_SAVE_RESULTS = text(
    "insert into quality.results"
    " (verdict_id, name, check_type, column_name, outcome, measured, threshold, severity, part)"
    " values (:verdict_id, :name, :check_type, :column_name, :outcome, :measured, :threshold,"
    " :severity, :part)"
)

_SAVE_LOST = text(
    "insert into quality.lost_keys (verdict_id, name, rows, samples)"
    " values (:verdict_id, :name, :rows, :samples)"
)


def _verdict_row(verdict: Verdict) -> dict[str, object]:
    return {
        "dataset": verdict.dataset,
        "load_id": verdict.load_id,
        "run_id": verdict.run_id,
        "outcome": verdict.outcome,
        "checks": len(verdict.checks),
        "passed": verdict.passed,
        "warnings": len(verdict.warnings),
        "timezone": settings().timezone,
        "message": verdict.message,
    }


def _result_row(verdict_id: int, check: Check) -> dict[str, object]:
    return {
        "verdict_id": verdict_id,
        "name": check.name,
        "check_type": check.type,
        "column_name": check.column,
        "outcome": check.outcome,
        "measured": check.measured,
        "threshold": check.threshold,
        "severity": check.severity,
        "part": check.part,
    }


def standing(tables: list[str]) -> dict[str, Outcome]:
    """The latest verdict's outcome of each dataset that has one, by table name."""
    with engine().connect() as connection:
        rows = connection.execute(_STANDING, {"tables": tables})
        return {row.dataset: row.outcome for row in rows}


_STANDING = text(
    "select distinct on (dataset) dataset, outcome from quality.verdicts"
    " where dataset = any(:tables) order by dataset, verdict_id desc"
)
