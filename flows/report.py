"""Reports: what a run leaves on its page in Prefect, and the state that it ends in.

Artifacts take no Decimal and no date, are rendered as markdown, and are copied into events: they
hold numbers and names of checks only, never a row's values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext
from prefect.states import Completed

from flows.result import GroupResult, IngestResult
from quality.score import Kept, standing_scores
from tasks.publish import Published

T = TypeVar("T")
QUALITY_FAILED = "Completed, quality failed"
WITH_WARNINGS = "Completed, with warnings"
SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>()#+-!|~&"} | {"\n": " ", "\r": " "})


def conclude(result: IngestResult) -> IngestResult:
    """Report one dataset's run, and end it in a state that says whether gold is held back."""
    if FlowRunContext.get() is None:
        return result
    report(result)
    scorecard(result.run_id)
    of = {result.standing: [result.dataset]}
    return _ending(result, of.get("held back", []), of.get("warnings", []))


def conclude_group(result: GroupResult) -> GroupResult:
    """Report every dataset's run; the first error, if there was one, fails the run."""
    if FlowRunContext.get() is not None:
        for one in result.done.values():
            report(one)
        create_markdown_artifact(group_summary(result), key="datasets", description="Datasets")
        scorecard(result.run_id)
    for error in result.failed.values():
        raise error
    if FlowRunContext.get() is None:
        return result
    return _ending(result, result.quality_failed, result.warned)


def _ending(result: T, held_back: list[str], warned: list[str]) -> T:
    """The result, in a state that says which datasets are held back, or published with warnings.

    Prefect unwraps the state again for whoever called the flow.
    """
    if not held_back and not warned:
        return result
    name = QUALITY_FAILED if held_back else WITH_WARNINGS
    message = f"{name}: {', '.join(held_back or warned)}"
    if held_back and warned:
        message += f"; with warnings: {', '.join(warned)}"
    return cast(T, Completed(name=name, message=message, data=result))


def report(result: IngestResult) -> None:
    """Leave the table of checks and the summary on the run's page."""
    key = result.dataset.replace("_", "-")
    create_table_artifact(
        checks(result), key=f"checks-{key}", description=f"Checks of {escaped(result.dataset)}"
    )
    create_markdown_artifact(
        summary(result), key=f"ingest-{key}", description=f"Ingest of {escaped(result.dataset)}"
    )


def scorecard(run_id: str) -> None:
    """Leave the health scores that the run gave on its page, with their parts and formula."""
    if scores := standing_scores(run_id):
        create_table_artifact(
            [row for score in scores for row in _card(score)],
            key="scorecard",
            description="Health scores, 0 to 100, with their parts and formula",
        )


def _card(score: Kept) -> list[dict[str, object]]:
    """A row for the score, then one for each part of it."""
    whose: dict[str, object] = {"level": score.level, "subject": escaped(score.subject)}
    rows = [whose | {"part": "", "score": score.score, "weight": score.weight, "lost": ""}]
    rows[0] |= {"outcome": score.outcome, "formula": escaped(score.formula)}
    for part in score.parts:
        lost = ", ".join(part.get("lost", ()))
        name = part.get("part") or part["dataset"]
        rows.append(whose | {"part": escaped(name), "score": part["score"],
                             "weight": part["weight"], "lost": escaped(lost)})  # fmt: skip
    return rows


def checks(result: IngestResult) -> list[dict[str, str | float | None]]:
    """A row a check: check, column, severity, measured, threshold, outcome."""
    return [
        {
            "check": escaped(c.name),
            "column": escaped(c.column or ""),
            "severity": c.severity,
            "measured": c.measured,
            "threshold": escaped(c.threshold),
            "outcome": c.outcome,
        }
        for c in result.verdict.checks
    ]


def summary(result: IngestResult) -> str:
    """The run in markdown: verdict, where each record went, what became of gold."""
    lines = [f"## {escaped(result.dataset)}: {result.standing}", ""]
    lines += [f"{escaped(str(result.verdict))}", ""]
    lines += [f"{result.files} files, {result.files_unchanged} of them known and left alone.", ""]
    lines += _table(("records", "count"), ((n.replace("_", " "), c) for n, c in _counts(result)))
    return "\n".join([*lines, "", *_gold(result.published)])


def _counts(result: IngestResult) -> Iterable[tuple[str, int]]:
    return result.counts.items()


def group_summary(result: GroupResult) -> str:
    """A line a dataset: how it went."""
    rows: list[tuple[str, str, str]]
    rows = [(name, r.standing, str(r)) for name, r in result.done.items()]
    rows += [(name, "failed to run", str(error)) for name, error in result.failed.items()]
    rows += [(name, "held", reason) for name, reason in result.held.items()]
    table = _table(("dataset", "outcome", "what happened"), rows)
    return "\n".join(["## Datasets", "", *table, "", *_gold(result.published)])


def _gold(published: Iterable[Published]) -> list[str]:
    rows = [(p.table, p.state, p.rows or "", p.reason or "") for p in published]
    return ["### Gold", "", *_table(("table", "state", "rows", "reason"), rows)] if rows else []


def _table(heads: tuple[str, ...], rows: Iterable[Iterable[object]]) -> list[str]:
    """A markdown table whose cells cannot break out of it."""
    lines = [heads, ["---"] * len(heads)]
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in [*lines, *cells]]


def escaped(text: str) -> str:
    """Text that markdown shows as it is."""
    return text.translate(SPECIAL)
