"""`carrel ingest` and `carrel quarantine replay`: a flow run where Prefect's API answers.

Without an API a flow would start a server of its own, some ten seconds for nothing that is kept;
the flow's plain function does the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployments import pipeline
from warehouse.settings import tell_libraries
from warehouse.spec import dataset


def run_ingest(name: str, path: Path | None, *, force: bool) -> Iterator[str]:
    """Ingest and yield what there is to tell.

    Raises:
        ConfigurationError: no such dataset, or its spec or contract is wrong.
        SourceUnavailable: the file is absent or its shape is wrong.
        LoadFailed: the database refused, or the counts do not add up.
        QualityFailed: loaded, but held back from gold.
    """
    table = dataset(name).table
    _quiet()
    from flows.ingest import ingest

    yield from _told(ingest, table, path=_full(path), force=force)


def run_replay(name: str, path: Path | None, rule: str | None, load: int | None) -> Iterator[str]:
    """Send held-back records again and yield what there is to tell.

    Raises:
        ConfigurationError: no such dataset, or its spec or contract is wrong.
        SourceUnavailable: the file is absent, or a row of it is no record of quarantine.
        LoadFailed: the database refused, or the counts do not add up.
        QualityFailed: loaded, but held back from gold.
    """
    table = dataset(name).table
    _quiet()
    from flows.replay import replay

    yield from _told(replay, table, path=_full(path), rule=rule, load=load)


def _quiet() -> None:
    """Have a run's log lines on its page in Prefect alone; the console gets the outcome."""
    tell_libraries(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL")


def _full(path: Path | None) -> str | None:
    return str(path.resolve()) if path else None


def _told(flow: Any, table: str, **facts: Any) -> Iterator[str]:
    """Run a flow, as one where there is an API to run it, and tell its outcome."""
    run = flow if pipeline.answers() else flow.fn
    result = run(table, **facts)
    yield str(result)
    yield from result.notes
    for published in result.published:
        reason = f" ({published.reason})" if published.reason else ""
        yield f"gold.{published.table}: {published.state}{reason}"
    result.require_quality()
