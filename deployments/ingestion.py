"""`carrel ingest` and `carrel quarantine replay`: a flow run where Prefect's API answers.

Without an API a flow would start a server of its own, some ten seconds for nothing that is kept;
the flow's plain function does the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from deployments import pipeline
from warehouse import audit
from warehouse.errors import WITH_WARNINGS, CarrelError
from warehouse.settings import tell_libraries
from warehouse.spec import Dataset, dataset

LEVEL_OF = {"source": "file", "schema": "schema"}  # categories of errors as levels of findings


def run_ingest(name: str, path: Path | None, *, force: bool) -> Iterator[str]:
    """Ingest and yield what there is to tell.

    Raises:
        ConfigurationError: no such dataset, or its spec or contract is wrong.
        SourceUnavailable: the file is absent or its shape is wrong.
        LoadFailed: the database refused, or the counts do not add up.
        QualityFailed: loaded, but held back from gold.
        Exit: loaded and published, but with warnings.
    """
    found = dataset(name)
    _quiet()
    from flows.ingest import ingest

    with audit.acting(audit.shell(), "run", name, own_file=path is not None, force=force):
        yield from _told(ingest, found, path=_full(path), force=force)


def run_replay(name: str, path: Path | None, rule: str | None, load: int | None) -> Iterator[str]:
    """Send held-back records again and yield what there is to tell.

    Raises:
        ConfigurationError: no such dataset, or its spec or contract is wrong.
        SourceUnavailable: the file is absent, or a row of it is no record of quarantine.
        LoadFailed: the database refused, or the counts do not add up.
        QualityFailed: loaded, but held back from gold.
        Exit: loaded and published, but with warnings.
    """
    found = dataset(name)
    _quiet()
    from flows.replay import replay

    with audit.acting(audit.shell(), "replay", name, rule=rule, load=load, edited=path is not None):
        yield from _told(replay, found, path=_full(path), rule=rule, load=load)


def _quiet() -> None:
    """Have a run's log lines on its page in Prefect alone; the console gets the outcome."""
    tell_libraries(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL")


def _full(path: Path | None) -> str | None:
    return str(path.resolve()) if path else None


def _told(flow: Any, found: Dataset, **facts: Any) -> Iterator[str]:
    """Run a flow, as one where there is an API to run it, and tell its outcome."""
    from tasks.findings import findings

    run = flow if pipeline.answers() else flow.fn
    try:
        result = run(found.table, **facts)
    except CarrelError as error:
        yield f"{LEVEL_OF.get(error.category, error.category):<12} refused: nothing was loaded"
        raise
    yield str(result)
    yield from result.notes
    yield from map(str, findings(found, result.verdict))
    for published in result.published:
        reason = f" ({published.reason})" if published.reason else ""
        yield f"gold.{published.table}: {published.state}{reason}"
    result.require_quality()
    if result.standing == "warnings":
        raise typer.Exit(WITH_WARNINGS)
