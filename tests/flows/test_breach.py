"""A breach on a real server: event, shipped automation, mail; and no load fails by its alerts."""

from __future__ import annotations

from typing import Any

import pytest

from flows.ingest import ingest, ingest_group
from tests.flows.fix_desk import Desk
from tests.flows.fix_orchestra import Orchestra, wait_for
from tests.tasks.fix_smtp import Post
from warehouse import alerts
from warehouse.database import connect
from warehouse.errors import CarrelError

WHO = "the tests"


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
    assert [a["name"] for a in found] == ["deliver-alerts at quality.breach"]
    desk.file("titles", "Mo Miller,mo@example.org")
    desk.contract("titles", most=0)
    run = orchestra.deployments()["ingest-dataset"]["id"]
    body = {"parameters": {"dataset": "desk_titles"}, "state": {"type": "SCHEDULED"}}
    with orchestra.worker("worker"):
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


def test_a_run_without_prefect_leaves_its_alert(desk: Desk) -> None:
    desk.files()
    desk.contract("titles", most=0)
    ingest.fn("desk_titles")
    (one,) = alerts.inbox(WHO)
    assert (one.kind, one.dataset, one.checks, one.held) == ("contract", "desk_titles", 1, 1)
    desk.contract("titles")
    for _ in range(2):
        ingest.fn("desk_titles")
    assert alerts.inbox(WHO) == []


def test_a_broken_file_is_one_alert_with_those_that_wait_for_it(desk: Desk) -> None:
    desk.files()
    (desk.landing / "desk" / "titles.csv").write_text("nothing\nthat,is,known\n")
    with pytest.raises(CarrelError):
        ingest_group.fn("desk")
    (one,) = alerts.inbox(WHO)
    assert (one.kind, one.category) == ("step", "schema")
    named = {(p.what, p.name) for p in alerts.shown(WHO, one.alert_id)[1]}
    assert {n for w, n in named if w == "dataset"} == {
        "desk_loans",
        "desk_copies",
        "desk_totals",
    }
    assert {n for w, n in named if w == "gold"} == {"desk_daily", "desk_popular"}


def test_no_load_fails_because_of_its_alerts(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.files()
    with connect(autocommit=True) as owner:
        owner.execute("alter table quality.alert_sources rename to away")
    assert ingest.fn("desk_titles").verdict.publishes
    assert "alerts were not looked for" in caplog.text
