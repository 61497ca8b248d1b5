"""Prefect's side of the stack, over its API: is it well, what is deployed, run it and wait."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import yaml

from deployments.facts import note
from deployments.programs import POOL
from deployments.stream_health import is_used
from warehouse.errors import CarrelError, ConfigurationError, LoadFailed
from warehouse.settings import ROOT, child_environment, settings
from warehouse.streams import streams

DECLARED = ROOT / "prefect.yaml"
RUN_SECONDS = 900
RUNS_AT_ONCE = 2
OURS = {RUNS_AT_ONCE, RUNS_AT_ONCE + 1}
SILENT_S = 120  # four heartbeats of the deployment `consume`
BUSY_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def answers() -> bool:
    """Whether Prefect's API is well."""
    api = settings().prefect_api
    if not api:
        return False
    try:
        return httpx.get(f"{api}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def declared() -> list[dict[str, Any]]:
    """The deployments of prefect.yaml."""
    if not DECLARED.exists():
        raise ConfigurationError(f"{DECLARED} is missing.")
    return list(yaml.safe_load(DECLARED.read_text("utf-8")).get("deployments", []))


def make_pool() -> None:
    """Make the pool of process workers unless it is there; its worker fills in the job template."""
    found = _call("POST", "/work_pools/filter", {"work_pools": {"name": {"any_": [POOL]}}})
    # A consumer goes on: it must not take the place of what ends.
    limit = RUNS_AT_ONCE + sum(map(is_used, streams().values()))
    if not found:
        pool = {"name": POOL, "type": "process", "concurrency_limit": limit}
        _call("POST", "/work_pools/", pool)
    elif found[0]["concurrency_limit"] in OURS - {limit}:  # any other number is an admin's
        _call("PATCH", f"/work_pools/{POOL}", {"concurrency_limit": limit})


def deploy() -> bool:
    """Deploy everything in prefect.yaml; False when it stands there already."""
    sources = [DECLARED, *sorted((ROOT / "flows").glob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    if settings().stack.get("deployed") == digest and _is_deployed():
        return False
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise CarrelError(f"prefect.yaml could not be deployed: {said}")
    watch_for_silence()
    note(deployed=digest)
    return True


def watch_for_silence(within: float = SILENT_S) -> None:
    """Have Prefect call a consumer crashed that sends no heartbeat, as when its worker died too.

    prefect.yaml cannot say so: an automation there can only start runs.

    Args:
        within: seconds without one.
    """
    name = "consume falls silent"
    for one in _call("POST", "/automations/filter", {}):
        if one["name"] == name:
            _call("DELETE", f"/automations/{one['id']}")
    ends = [f"prefect.flow-run.{end.capitalize()}" for end in ENDED]
    trigger = {
        "type": "event",
        "posture": "Proactive",
        "after": ["prefect.flow-run.heartbeat"],
        "expect": ["prefect.flow-run.heartbeat", *ends],
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.role": "flow", "prefect.resource.name": "consume"},
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": within,
    }
    said = "No heartbeat: its process and its worker are gone."
    action = {"type": "change-flow-run-state", "state": "CRASHED", "message": said}
    about = "A run of the consumer that sends no heartbeat has crashed."
    made = {"name": name, "description": about, "trigger": trigger, "actions": [action]}
    _call("POST", "/automations/", made)


def _is_deployed() -> bool:
    known = {d["name"] for d in _call("POST", "/deployments/filter", {})}
    return {d["name"] for d in declared()} <= known


def deployment_of(group: str) -> str:
    """`flow/deployment` of the deployment that ingests a group.

    Raises:
        ConfigurationError: prefect.yaml declares none.
    """
    known = {d["name"]: d for d in _call("POST", "/deployments/filter", {})}
    for one in declared():
        if (one.get("parameters") or {}).get("group") == group and one["name"] in known:
            flow = _call("GET", f"/flows/{known[one['name']]['flow_id']}")
            return f"{flow['name']}/{one['name']}"
    raise ConfigurationError(f"prefect.yaml deploys no flow for the group {group!r}.")


def run_deployment(
    name: str, *, progress: Callable[[str], None], seconds: float = RUN_SECONDS
) -> str:
    """Run a deployment and wait; return the name of its final state.

    Raises:
        LoadFailed: the run failed, crashed, was cancelled or took too long.
    """
    found = _call("GET", f"/deployments/name/{name}")
    run = _call("POST", f"/deployments/{found['id']}/create_flow_run", {})
    end = time.monotonic() + seconds
    while (state := run["state"])["type"] not in ENDED:
        if time.monotonic() > end:
            raise LoadFailed(f"The run of {name} is {state['name']} after {seconds:.0f} s.")
        progress(state["name"].lower())
        time.sleep(0.5)
        run = _call("GET", f"/flow_runs/{run['id']}")
    if state["type"] != "COMPLETED":
        raise LoadFailed(
            f"The run of {name} ended {state['name']}: {state.get('message')}",
            remedy=f"See {settings().home}/logs/prefect-worker.log.",
        )
    return str(state["name"])


def keep_consuming(stream: str, *, afresh: bool) -> bool:
    """Have one run of the deployment `consume` go on; False when one does, or is about to.

    `afresh`: no worker of ours ran until now, so that whatever is still called running is dead.

    Raises:
        CarrelError: Prefect is away, or refuses.
    """
    make_pool()
    deployment = _call("GET", "/deployments/name/consume/consume")["id"]
    wanted = {
        "deployment_id": {"any_": [deployment]},
        "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]}},
    }
    alive = []
    for run in _call("POST", "/flow_runs/filter", {"flow_runs": wanted}):
        if afresh and run["state_type"] != "SCHEDULED":
            gone = {"type": "CANCELLED", "message": "Its process ended with the stack."}
            _call("POST", f"/flow_runs/{run['id']}/set_state", {"state": gone, "force": True})
        elif run["parameters"].get("name", stream) == stream:
            alive.append(run)
    if alive:
        return False
    asked = {"parameters": {"name": stream}}
    _call("POST", f"/deployments/{deployment}/create_flow_run", asked)
    return True


def start(name: str, parameters: dict[str, object], *, key: str) -> str:
    """Have a deployment run; returns the flow run's name. The same `key` starts no second one.

    Raises:
        CarrelError: Prefect is away, or refuses.
    """
    if not settings().prefect_api:
        raise CarrelError("Prefect is not running.", remedy="Start it with `carrel up`.")
    found = _call("GET", f"/deployments/name/{name}")
    asked = {"parameters": parameters, "idempotency_key": key}
    return str(_call("POST", f"/deployments/{found['id']}/create_flow_run", asked)["name"])


def _call(method: str, path: str, body: object = None) -> Any:
    """Ask the API; while its SQLite is busy it answers 503 or not at all, and is asked again.

    Where it did not answer, only what changes nothing is asked again.
    """
    api = settings().prefect_api
    for pause in (*BUSY_PAUSES, None):
        try:
            # No proxy stands between us and our own server.
            proxied = bool(settings().prefect_api_url)
            answer = httpx.request(method, f"{api}{path}", json=body, timeout=30, trust_env=proxied)
            if pause and answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                time.sleep(pause)
                continue
            answer.raise_for_status()
        except httpx.HTTPError as error:
            if pause and method == "GET" and isinstance(error, httpx.TimeoutException):
                time.sleep(pause)
                continue
            raise CarrelError(f"Prefect's API at {api} refused {path}: {error}") from error
        return answer.json() if answer.content else None
