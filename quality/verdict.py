"""The verdict on a dataset: may its gold be published?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text

from quality.contract import contract
from quality.soda import Check, Measurement, measure
from warehouse.database import engine
from warehouse.spec import Dataset

Outcome = Literal["passed", "failed", "error"]


@dataclass(frozen=True)
class Verdict:
    """What the contract says of a dataset as it stands in silver.

    `passed`: every check was evaluated and held (or only warned); `failed`: a check did not hold;
    `error`: a check could not be evaluated. Only `passed` lets gold be published.
    """

    dataset: str
    outcome: Outcome
    checks: tuple[Check, ...] = ()
    message: str | None = None
    load_id: int | None = None
    run_id: str | None = None

    @property
    def passed(self) -> int:
        """How many checks held."""
        return sum(c.outcome == "passed" for c in self.checks)

    @property
    def publishes(self) -> bool:
        """Whether gold may be published."""
        return self.outcome == "passed"

    def __str__(self) -> str:
        said = f"{self.outcome}: {self.passed} of {len(self.checks)} checks passed"
        return f"{said}; {self.message}" if self.message else said


def judge(dataset: Dataset, *, load_id: int | None = None, run_id: str | None = None) -> Verdict:
    """Measure the dataset's contract and save the verdict.

    Raises:
        SpecError: the dataset has no contract, or the contract is wrong.
    """
    measured = measure(contract(dataset))
    verdict = Verdict(
        dataset=dataset.table,
        outcome=_outcome(measured),
        checks=measured.checks,
        message=_message(measured),
        load_id=load_id,
        run_id=run_id,
    )
    save(verdict)
    return verdict


def _outcome(measured: Measurement) -> Outcome:
    """The gate: everything was evaluated, there was something to evaluate, and nothing failed."""
    outcomes = Counter(c.outcome for c in measured.checks)
    if measured.errors or outcomes["not evaluated"] or outcomes["excluded"] or not outcomes:
        return "error"
    return "passed" if measured.is_ok else "failed"


def _message(measured: Measurement) -> str | None:
    if measured.errors:
        return "; ".join(measured.errors)
    failed = [c.name for c in measured.checks if c.outcome == "failed"]
    return f"not held: {', '.join(failed)}" if failed else None


def save(verdict: Verdict) -> int:
    """Keep a verdict and its results; returns its id."""
    with engine().begin() as connection:
        verdict_id = connection.execute(_SAVE_VERDICT, _verdict_row(verdict)).scalar_one()
        rows = [_result_row(verdict_id, c) for c in verdict.checks]
        if rows:
            connection.execute(_SAVE_RESULTS, rows)
    return int(verdict_id)


_SAVE_VERDICT = text(
    "insert into quality.verdicts (dataset, load_id, run_id, outcome, checks, passed, message)"
    " values (:dataset, :load_id, :run_id, :outcome, :checks, :passed, :message)"
    " returning verdict_id"
)
_SAVE_RESULTS = text(
    "insert into quality.results"
    " (verdict_id, name, check_type, column_name, outcome, measured, threshold)"
    " values (:verdict_id, :name, :check_type, :column_name, :outcome, :measured, :threshold)"
)


def _verdict_row(verdict: Verdict) -> dict[str, object]:
    return {
        "dataset": verdict.dataset,
        "load_id": verdict.load_id,
        "run_id": verdict.run_id,
        "outcome": verdict.outcome,
        "checks": len(verdict.checks),
        "passed": verdict.passed,
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
