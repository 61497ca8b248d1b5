"""Daily: the review of the last day, left on the run's page as an artifact."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from flows.report import escaped
from flows.run import run
from tasks.daily import Figure, daily, wants_a_look
from warehouse import audit
from warehouse.access import Viewer

HEADS = ("figure", "now", "before", "change", "note")
BY = audit.By("carrel", "schedule", "system")


@flow(name="daily-review", flow_run_name="daily review", persist_result=False)
def daily_review() -> int:
    """Review the last day; return how many figures want a look.

    Raises:
        LoadFailed: the database refused, or took too long.
    """
    with run():
        with audit.acting(BY, "query", "daily review", seen_by="admin") as facts:
            figures = daily(Viewer(BY.who, "admin"))
            facts["rows"] = len(figures)
        if FlowRunContext.get() is not None:
            create_markdown_artifact(
                markdown(figures), key="daily-review", description="The last day in figures"
            )
        return len(wants_a_look(figures))


def markdown(figures: list[Figure]) -> str:
    """The review as markdown: first what wants a look, then a table a part."""
    looks = wants_a_look(figures)
    named = "; ".join(f"{f.name} {f.shown[0]}" for f in looks)
    lines = [f"**Wants a look:** {escaped(named)}" if looks else "Nothing wants a look.", ""]
    for part in dict.fromkeys(f.part for f in figures):
        lines += [
            f"### {escaped(part)}",
            "",
            f"| {' | '.join(HEADS)} |",
            "|---|---:|---:|---:|---|",
        ]
        for f in figures:
            if f.part == part:
                cells = (f.name, *f.shown, f.change, f.note)
                lines.append(f"| {' | '.join(map(escaped, cells))} |")
        lines.append("")
    return "\n".join(lines)
