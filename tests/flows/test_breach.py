"""Alerts of runs without Prefect, and no load fails by its alerts (with it: test_orchestra)."""

from __future__ import annotations

import pytest

from flows.ingest import ingest, ingest_group
from tests.flows.fix_desk import Desk
from warehouse import alerts
from warehouse.database import connect
from warehouse.errors import CarrelError

WHO = "the tests"


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
