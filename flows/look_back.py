"""Look back: judge the days that are over, so that a load that never came is an alert, too."""

from __future__ import annotations

import logging

from prefect import flow

from flows.run import run
from tasks import observe

log = logging.getLogger(__name__)


@flow(name="look-back", flow_run_name="look back", persist_result=False)
def look_back() -> int:
    """Judge every dataset up to yesterday by its history; return how many have something unusual.

    Alerts of what is found are opened when the run ends.

    Raises:
        ConfigurationError: the setting `closed_days` holds what is no day.
    """
    with run():
        found = observe.look_back()
        for name, lines in found.items():
            for line in lines:
                log.warning("%s: %s", name, line, extra={"dataset": name})
        return len(found)
