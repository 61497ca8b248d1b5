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
from tasks.publish import Published

T = TypeVar("T")
QUALITY_FAILED = "Completed, quality failed"
SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>()#+-!|~&"} | {"\n": " ", "\r": " "})


def conclude(result: IngestResult) -> IngestResult:
    """Report one dataset's run, and end it in a state that says whether gold is held back."""
    if FlowRunContext.get() is None:
        return result
    report(result)
    return _ending(result, [] if result.verdict.publishes else [result.dataset])


def conclude_group(result: GroupResult) -> GroupResult:
    """Report every dataset's run; the first error, if there was one, fails the run."""
    if FlowRunContext.get() is not None:
        for one in result.done.values():
            report(one)
        create_markdown_artifact(group_summary(result), key="datasets", description="Datasets")
    for error in result.failed.values():
        raise error
    return _ending(result, result.quality_failed) if FlowRunContext.get() else result


def _ending(result: T, held_back: list[str]) -> T:
    """The result, in a state that says which datasets are held back from gold.

    Prefect unwraps the state again for whoever called the flow.
    """
    if not held_back:
        return result
    message = f"Completed, quality failed: {', '.join(held_back)}"
    return cast(T, Completed(name=QUALITY_FAILED, message=message, data=result))


def report(result: IngestResult) -> None:
    """Leave the table of checks and the summary on the run's page."""
    key = result.dataset.replace("_", "-")
    create_table_artifact(
        checks(result), key=f"checks-{key}", description=f"Checks of {escaped(result.dataset)}"
    )
    create_markdown_artifact(
        summary(result), key=f"ingest-{key}", description=f"Ingest of {escaped(result.dataset)}"
    )


def checks(result: IngestResult) -> list[dict[str, str | float | None]]:
    """A row a check: check, column, measured, threshold, outcome."""
    return [
        {
            "check": escaped(c.name),
            "column": escaped(c.column or ""),
            "measured": c.measured,
            "threshold": escaped(c.threshold),
            "outcome": c.outcome,
        }
        for c in result.verdict.checks
    ]


def summary(result: IngestResult) -> str:
    """The run in markdown: verdict, where each record went, what became of gold."""
    lines = [f"## {escaped(result.dataset)}: {result.verdict.outcome}", ""]
    lines += [f"{escaped(str(result.verdict))}", ""]
    lines += [f"{result.files} files, {result.files_unchanged} of them known and left alone.", ""]
    lines += _table(("records", "count"), ((n.replace("_", " "), c) for n, c in _counts(result)))
    return "\n".join([*lines, "", *_gold(result.published)])


def _counts(result: IngestResult) -> Iterable[tuple[str, int]]:
    return result.counts.items()


def group_summary(result: GroupResult) -> str:
    """A line a dataset: how it went."""
    rows: list[tuple[str, str, str]]
    rows = [(name, r.verdict.outcome, str(r)) for name, r in result.done.items()]
    rows += [(name, "failed", str(error)) for name, error in result.failed.items()]
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
