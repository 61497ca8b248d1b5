"""When each dataset is next brought in, asked of Prefect's API; None when it does not answer."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from bi_app.words import N_
from warehouse.errors import CarrelError
from warehouse.settings import settings
from warehouse.spec import datasets

log = logging.getLogger(__name__)
KEPT_SECONDS, GROUP_SECONDS, PATIENCE = 20.0, 60.0, 10.0
WAIT_SECONDS = 0.5  # that a page waits; what comes later is there for the next
ASKING = N_("Prefect is being asked when each runs next; open the page again in a moment.")
AWAY = N_(
    "Prefect does not answer, so the next runs are not known, and a run that you ask for waits."
)


@dataclass
class _Kept:
    """What was found out last, and when."""

    found: Any = None
    at: float = field(default=-1e9)
    asking: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_schedule, _groups = _Kept(), _Kept()


def next_runs() -> dict[str, dt.datetime] | None:
    """The next scheduled run of each dataset, as Prefect said last; None: it did not answer.

    Asked in a thread when that is older than 20 seconds, so that no page waits long for Prefect.
    """
    with _schedule.lock:
        if time.monotonic() - _schedule.at > KEPT_SECONDS:
            _schedule.at = time.monotonic()
            _schedule.asking = threading.Thread(target=_ask, name="ask-prefect", daemon=True)
            _schedule.asking.start()
    if _schedule.asking is not None:
        _schedule.asking.join(WAIT_SECONDS)
    found: dict[str, dt.datetime] | None = _schedule.found
    return found


def asking() -> bool:
    """Whether Prefect is still being asked: that nothing is known then does not mean it is away."""
    return _schedule.asking is not None and _schedule.asking.is_alive()


def _ask() -> None:
    _schedule.found = _by_dataset()


def forget() -> None:
    """Ask anew the next time."""
    if _schedule.asking is not None:
        _schedule.asking.join(PATIENCE)
    _schedule.at = _groups.at = -1e9
    _schedule.found = None


def groups() -> dict[str, str]:
    """The group of each dataset; at most a minute old."""
    with _groups.lock:
        if time.monotonic() - _groups.at > GROUP_SECONDS:
            try:
                _groups.found = {name: d.group for name, d in datasets().items()}
            except CarrelError:
                log.exception("a spec is wrong")
                _groups.found = _groups.found or {}
            _groups.at = time.monotonic()
        found: dict[str, str] = _groups.found
        return found


def _by_dataset() -> dict[str, dt.datetime] | None:
    try:
        deployments, runs = _asked()
    except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
        log.info("prefect did not say what is scheduled: %s", type(error).__name__)
        return None
    found: dict[str, dt.datetime] = {}
    for run in runs:
        deployment = deployments.get(str(run.get("deployment_id")))
        if deployment is None:
            continue
        at = dt.datetime.fromisoformat(run["expected_start_time"])
        for name, group in groups().items():
            if takes(deployment, group) and (name not in found or at < found[name]):
                found[name] = at
    return found


def takes(deployment: Mapping[str, Any], group: str) -> bool:
    """Whether a deployment brings in the datasets of a group on its schedule."""
    parameters, tags = deployment.get("parameters") or {}, deployment.get("tags") or ()
    if "group" in parameters:
        return bool(parameters["group"] == group)
    if "besides" in parameters:
        return group not in parameters["besides"]
    return "refresh" in tags


def _asked() -> tuple[dict[str, Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Deployments by id, and scheduled runs, the next first.

    Raises:
        httpx.HTTPError: Prefect is not set up, away, or refuses.
    """
    if not (api := settings().prefect_api):
        raise httpx.ConnectError("no Prefect API is known")
    proxied = bool(settings().prefect_api_url)
    with httpx.Client(base_url=api, timeout=PATIENCE, trust_env=proxied) as client:
        scheduled = {
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC", "limit": 200,
        }  # fmt: skip
        answers = [
            client.post("/deployments/filter", json={"limit": 200}),
            client.post("/flow_runs/filter", json=scheduled),
        ]
    deployments, runs = (answer.raise_for_status().json() for answer in answers)
    return {d["id"]: d for d in deployments}, runs
