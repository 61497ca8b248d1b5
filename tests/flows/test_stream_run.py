"""The stream as a Prefect deployment: runs on, shows what it does, is followed after a kill."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil
import pytest

from deployments import pipeline
from deployments.pipeline import ENDED
from tests.fix_stream import by, check_offsets, fates, message, send
from tests.flows import fix_orchestra
from tests.flows.fix_orchestra import Orchestra
from warehouse.database import connect
from warehouse.streams import Stream

wait_for = partial(fix_orchestra.wait_for, seconds=240)  # several programs start


def start(orchestra: Orchestra) -> str:
    """Have the deployment run; the run's id."""
    deployment = orchestra.deployments()["consume"]["id"]
    body = {"state": {"type": "SCHEDULED"}}
    return str(orchestra.call("POST", f"/deployments/{deployment}/create_flow_run", body)["id"])


def state(orchestra: Orchestra, run: str) -> str:
    return str(orchestra.call("GET", f"/flow_runs/{run}")["state"]["type"])


def runs(orchestra: Orchestra) -> list[dict[str, Any]]:
    """The runs of the deployment."""
    deployment = orchestra.deployments()["consume"]["id"]
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    return list(orchestra.call("POST", "/flow_runs/filter", wanted))


def cancel(orchestra: Orchestra, run: str) -> None:
    body = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    orchestra.call("POST", f"/flow_runs/{run}/set_state", body)


def pid() -> int | None:
    """The process of the run that reports."""
    query = "select pid from ops.stream_runs where ended_at is null order by started_at desc"
    with connect() as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else None


def shown(orchestra: Orchestra, run: str) -> dict[str, float]:
    """The figures of the run's artifact, of which there is one."""
    found = [
        one for one in orchestra.call("POST", "/artifacts/filter", {}) if one["flow_run_id"] == run
    ]
    assert len(found) <= 1
    data = found[0]["data"] if found else []
    rows = json.loads(data) if isinstance(data, str) else data
    return {row["metric"]: row["value"] for row in rows}


def test_the_run_goes_on_is_followed_after_a_kill_and_ends_when_cancelled(
    orchestra: Orchestra, sales: Stream, setting: Callable[..., None]
) -> None:
    setting(stream_report_s=0.5)
    others = {r["id"] for r in runs(orchestra)}
    send(sales, *(message(n, n / 60) for n in range(100)), b"{")
    with orchestra.worker("stream worker"):
        first = start(orchestra)
        wait_for(lambda: shown(orchestra, first).get("records") == 101, what="the artifact")
        found = shown(orchestra, first)
        assert (found["counted"], found["quarantined"], found["lag"]) == (100, 1, 0)
        assert found["watermark of partition 0"].startswith("2026-01-05T11:51")
        send(sales, *(message(n, n / 60) for n in range(100, 150)))
        wait_for(lambda: shown(orchestra, first)["records"] == 151, what="the next report")

        killed = pid()
        assert killed
        psutil.Process(killed).send_signal(signal.SIGKILL)
        send(sales, *(message(n, n / 60) for n in range(150, 200)))
        wait_for(lambda: state(orchestra, first) == "CRASHED", what="the crash")
        wait_for(lambda: fates()["counted"] == 200, what="the run that the automation made")
        assert by("total", "lines", "gross") == {"all": (200, 600)}
        check_offsets()
        (second,) = {r["id"] for r in runs(orchestra)} - others - {first}

        wait_for(lambda: shown(orchestra, second).get("records") == 201, what="its artifact")
        cancel(orchestra, second)
        wait_for(lambda: state(orchestra, second) == "CANCELLED", what="the end")
    with connect() as connection:
        rows = connection.execute(
            "select ended_at is not null, failure from ops.stream_runs where run_id = %s", [second]
        ).fetchall()
        held = connection.execute("select count(consumer) from ops.stream_partitions").fetchone()
    assert rows == [(True, None)]
    assert held == (0,)
    assert {r["id"] for r in runs(orchestra)} - others == {first, second}, "none after a cancelled"


@pytest.mark.full
def test_a_run_whose_worker_died_too_is_called_crashed_and_followed(
    orchestra: Orchestra, sales: Stream, setting: Callable[..., None]
) -> None:
    """The heartbeat that is missing tells it; the time until then is cut short here."""
    setting(stream_report_s=0.5, prefect_api_url=orchestra.api)
    pipeline.watch_for_silence(within=10)
    pipeline.watch_for_silence(within=10)
    (made,) = [
        a
        for a in orchestra.call("POST", "/automations/filter", {})
        if a["name"] == "consume falls silent"
    ]
    send(sales, message(1))
    with orchestra.worker("worker that dies") as worker:
        first = start(orchestra)
        wait_for(lambda: fates()["events"] == 1, what="the run")
        known = psutil.Process(worker.pid)
        for process in (known, *known.children(recursive=True)):
            process.kill()
    send(sales, message(2))
    with orchestra.worker("worker that lives"):
        wait_for(lambda: state(orchestra, first) == "CRASHED", what="the crash")
        wait_for(lambda: fates()["counted"] == 2, what="the run after it")
        for one in runs(orchestra):
            if one["state_type"] in ("RUNNING", "PENDING", "SCHEDULED"):
                cancel(orchestra, one["id"])
        wait_for(
            lambda: all(r["state_type"] in ENDED for r in runs(orchestra)), what="the end of all"
        )
    check_offsets()
    orchestra.call("DELETE", f"/automations/{made['id']}")
