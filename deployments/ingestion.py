"""`carrel ingest`: one dataset, as a flow run where Prefect's API answers, else without one.

Without an API a flow would start a server of its own, some ten seconds for nothing that is kept;
the flow's plain function does the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
    # The run's log lines go to its page in Prefect; the console gets the outcome alone.
    tell_libraries(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL")
    from flows.ingest import ingest

    run = ingest if pipeline.answers() else ingest.fn
    result = run(table, path=str(path.resolve()) if path else None, force=force)
    yield str(result)
    for published in result.published:
        reason = f" ({published.reason})" if published.reason else ""
        yield f"gold.{published.table}: {published.state}{reason}"
    result.require_quality()
