"""prefect.yaml on a real server: deployed, scheduled, run by a worker, refused where wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import psutil
import pytest
import yaml

from tests.flows.fix_desk import Desk
from tests.flows.fix_orchestra import Orchestra, wait_for
from tests.tasks.fix_smtp import Post
from warehouse import alerts
from warehouse.database import connect
from warehouse.settings import ROOT

DECLARED = {
    d["name"]: d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
}


def test_every_deployment_is_registered_with_its_schedule(orchestra: Orchestra) -> None:
    found = orchestra.deployments()
    assert set(found) == set(DECLARED)
    for name, declared in DECLARED.items():
        schedules = {s["slug"]: s["schedule"] for s in found[name]["schedules"]}
        assert set(schedules) == {s["slug"] for s in declared["schedules"]}, name
        for wanted in declared["schedules"]:
            schedule = schedules[wanted["slug"]]
            assert schedule["timezone"] == "Europe/London"
            kind = "cron" if "cron" in wanted else "interval"
            assert schedule[kind] == wanted[kind]
        assert found[name]["work_pool_name"] == "carrel"
        assert found[name]["enforce_parameter_schema"]
        assert (
            found[name]["global_concurrency_limit"]["limit"]
            == declared["concurrency_limit"]["limit"]
        )
        assert found[name]["tags"] == declared["tags"]
        assert found[name]["description"]


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("ingest-dataset", {"dataset": "desk_titles"}, 201),
        ("ingest-dataset", {"dataset": "robert'); drop table"}, 409),
        ("ingest-dataset", {"dataset": "desk_titles", "force": "perhaps"}, 409),
        ("ingest-dataset", {}, 409),
        ("ingest-library", {"group": 7}, 409),
    ],
)
def test_wrong_parameters_are_refused(
    orchestra: Orchestra, name: str, parameters: dict[str, Any], code: int
) -> None:
    deployment = orchestra.deployments()[name]["id"]
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    answer = orchestra.ask("POST", f"/deployments/{deployment}/create_flow_run", body)
    assert answer.status_code == code, answer.text
    if code == 201:
        orchestra.call("DELETE", f"/flow_runs/{answer.json()['id']}")


def deliveries(orchestra: Orchestra) -> list[dict[str, Any]]:
    """The runs of deliver-alerts that an automation made."""
    deployment = orchestra.deployments()["deliver-alerts"]["id"]
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    runs = orchestra.call("POST", "/flow_runs/filter", wanted)
    return [r for r in runs if (r["created_by"] or {}).get("type") == "AUTOMATION"]


def breaches(orchestra: Orchestra) -> list[dict[str, Any]]:
    wanted = {"filter": {"event": {"name": ["quality.breach"]}}}
    return list(orchestra.call("POST", "/events/filter", wanted)["events"])


def test_a_breach_becomes_an_event_the_automation_runs_and_a_mail_lands(
    orchestra: Orchestra, desk: Desk, post: Post
) -> None:
    orchestra.prefect("deploy", "--all")  # again, as `carrel up` does when something changed
    found = orchestra.call("POST", "/automations/filter", {})
    assert {a["name"] for a in found} == {
        "consume after a crash",
        "deliver-alerts at quality.breach",
    }
    desk.file("titles", "Mo Miller,mo@example.org")
    desk.contract("titles", most=0)
    run = orchestra.deployments()["ingest-dataset"]["id"]
    body = {"parameters": {"dataset": "desk_titles"}, "state": {"type": "SCHEDULED"}}
    with orchestra.worker("breach worker"):
        orchestra.call("POST", f"/deployments/{run}/create_flow_run", body)
        wait_for(post.mails, seconds=240, what="the mail")
        wait_for(
            lambda: [r for r in deliveries(orchestra) if r["state"]["type"] == "COMPLETED"],
            what="the automation's run",
        )
    (event,) = breaches(orchestra)
    labels = event["resource"]
    assert labels["carrel.dataset"] == "desk_titles"
    assert labels["carrel.severity"] == "critical"
    assert event["payload"] == {"episode": 1, "checks": 1, "held": 1}
    (mail,) = post.mails()
    assert mail["Subject"] == "[Carrel] critical: desk_titles: 1 check not held"
    assert "gold desk_popular stays as it was" in mail.get_content()
    for told in (str(event), mail.as_string()):
        assert "Mo Miller" not in told
        assert "mo@example.org" not in told


def test_a_schedule_fires_and_rows_and_artifacts_are_there(
    orchestra: Orchestra, desk: Desk
) -> None:
    desk.files()
    local = orchestra.deployments()["ingest-local"]
    orchestra.call(
        "POST",
        f"/deployments/{local['id']}/schedules",
        [{"active": True, "schedule": {"interval": 3600, "anchor_date": soon()}}],
    )
    with orchestra.worker("worker"):
        run = wait_for(lambda: ended(orchestra, local["id"]), seconds=150, what="the scheduled run")
        wanted = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}
        wait_for(
            lambda: [
                line
                for line in orchestra.call("POST", "/logs/filter", wanted)
                if "merge desk_loans: done" in line["message"]
            ],
            what="our log lines on the run's page",
        )
    assert run["state"]["name"] == "Completed", orchestra.log("worker")
    assert run["auto_scheduled"]
    assert desk.rows("select day::text, loans from gold.desk_daily order by 1") == [
        ("2024-03-01", 1),
        ("2024-03-02", 1),
    ]
    runs = "select distinct run_id from ops.steps where dataset = 'desk_loans'"
    assert desk.rows(runs) == [(run["id"],)]
    found = {
        a["key"]: a["data"]
        for a in orchestra.call("POST", "/artifacts/filter", {})
        if a["flow_run_id"] == run["id"]
    }
    assert len(json.loads(found["checks-desk-loans"])) == 2
    assert "desk\\_loans: trusted" in found["ingest-desk-loans"]


def test_a_load_that_never_came_is_an_alert_the_next_morning(
    orchestra: Orchestra, desk: Desk
) -> None:
    """Without any other run: the deployment looks back, and its end opens the alert."""
    with connect() as connection:
        connection.execute(
            "insert into quality.metrics (dataset, metric, day, at, run_id, value)"
            " select 'desk_loans', 'volume', d, d, d::text, 1000"
            " from generate_series(current_date - 90, current_date - 2, interval '1 day') d"
        )
    deployment = orchestra.deployments()["look-back"]
    (schedule,) = deployment["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"]) == (True, "0 6 * * *")
    body = {"state": {"type": "SCHEDULED"}}
    with orchestra.worker("morning worker"):
        run = orchestra.call("POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"]
        assert final_state(orchestra, run) == "Completed", orchestra.log("morning worker")
    (alert,) = alerts.inbox("the tests")
    assert alert.title == "desk_loans: a load did not come"
    (part,) = alerts.shown("the tests", alert.alert_id)[1]
    yesterday = desk.rows("select current_date - 1")[0][0]
    assert part.detail == f"nothing came on {yesterday:%A} {yesterday}"


def test_every_line_of_the_logs_is_json(orchestra: Orchestra) -> None:
    """After the run above: the worker's output holds the flow run's, too."""
    lines = [line for line in orchestra.log("worker").splitlines() if line.strip()]
    ours = [json.loads(line) for line in lines if line.startswith("{")]
    assert any(line["message"].startswith("merge desk_loans: done") for line in ours)
    assert all({"time", "level", "logger", "run_id", "message"} <= set(line) for line in ours)
    others = [line for line in lines if not line.startswith("{")]
    greetings = re.compile(r"Worker '.*' (started|stopped)!|Received SIG\w+\. .*")
    assert [line for line in others if not greetings.fullmatch(line)] == []


@pytest.mark.full
def test_a_killed_run_is_crashed_and_the_next_one_right(orchestra: Orchestra, desk: Desk) -> None:
    """The flow's process is killed under its worker; its slot is free for the next run."""
    desk.files()
    desk.many_loans(400_000, seed=1)
    open_loads = "select 1 from ops.loads where dataset = 'desk_loans' and state = 'landing'"
    with orchestra.worker("second worker") as worker:
        killed = started(orchestra)
        wait_for(lambda: desk.rows(open_loads), what="the load")
        for process in psutil.Process(worker.pid).children(recursive=True):
            process.kill()
        assert final_state(orchestra, killed) == "Crashed"
        assert desk.rows("select count(*) from gold.desk_daily") == [(0,)]
        assert final_state(orchestra, started(orchestra)) == "Completed"
    assert desk.rows("select sum(loans) from gold.desk_daily") == desk.rows(
        "select count(*) from silver.desk_loans"
    )


def started(orchestra: Orchestra) -> str:
    local = orchestra.deployments()["ingest-local"]["id"]
    body = {"state": {"type": "SCHEDULED"}}
    return str(orchestra.call("POST", f"/deployments/{local}/create_flow_run", body)["id"])


def final_state(orchestra: Orchestra, run: str) -> str:
    def now() -> str | None:
        found = orchestra.call("GET", f"/flow_runs/{run}")["state"]
        return found["name"] if found["type"] in ("COMPLETED", "FAILED", "CRASHED") else None

    return str(wait_for(now, seconds=240, what="the run's end"))


def soon() -> str:
    import datetime as dt

    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)).isoformat()


def ended(orchestra: Orchestra, deployment: str) -> Any:
    runs = orchestra.call(
        "POST",
        "/flow_runs/filter",
        {"flow_runs": {
            "deployment_id": {"any_": [deployment]},
            "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}},
        }},
    )  # fmt: skip
    return runs[0] if runs else None
