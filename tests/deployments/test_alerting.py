"""`carrel alerts` as a person uses it."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from deployments.alerting import moment
from deployments.cli import app
from quality.alerts import raise_alerts
from quality.soda import Check
from quality.verdict import Verdict, save
from tests.tasks.fix_smtp import Post, post
from warehouse.errors import ConfigurationError
from warehouse.spec import dataset

__all__ = ["post"]
runner = CliRunner()


def carrel(*words: str) -> str:
    done = runner.invoke(app, ["alerts", *words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def _breach(database: str) -> None:
    held = Check("addresses are there", "missing", "address", 4.0, "must be: 0", "failed")
    save(Verdict("shop_a", "failed", (held,), run_id="r1"), dataset("library_branches"))
    raise_alerts(run_id="r1")


@pytest.mark.usefixtures("_breach")
def test_the_way_of_an_alert() -> None:
    assert re.search(r"1 +critical +open +0m +shop_a: 1 check not held", carrel("list"))
    assert "acknowledged" in carrel("ack", "1", "--note", "on it", "--by", "ann")
    refused = runner.invoke(app, ["alerts", "ack", "1"])
    assert refused.exit_code == 2
    assert "error: Alert 1 is acknowledged already." in refused.output
    assert "snoozed" in carrel("snooze", "1", "8h")
    assert "acknowledged" in carrel("wake", "1")
    assert "resolved" in carrel("resolve", "1", "--reason", "fixed", "--comment", "new file")
    assert "shop_a" not in carrel("list")
    assert "shop_a" in carrel("list", "--all", "--dataset", "shop_a")
    assert "shop_a" not in carrel("list", "--all", "--dataset", "shop_b")
    assert "open" in carrel("reopen", "1", "--note", "not so")
    shown = carrel("show", "1")
    assert "check    addresses are there: measured 4, must be: 0" in shown
    assert "ann  acknowledged: on it" in shown
    record = json.loads(carrel("show", "1", "--json"))
    assert [e["action"] for e in record["events"]] == [
        "opened", "acknowledged", "snoozed", "woken", "resolved", "re-opened",
    ]  # fmt: skip
    assert json.loads(carrel("list", "--json"))[0]["dataset"] == "shop_a"


@pytest.mark.usefixtures("_breach")
def test_deliver_sends_or_says_what_is_missing(post: Post, setting: Callable[..., None]) -> None:
    assert carrel("deliver") == "1 messages sent.\n"
    assert len(post.mails()) == 1
    setting(alert_mail_to="")
    refused = runner.invoke(app, ["alerts", "deliver"])
    assert refused.exit_code == 2
    assert "CARREL_ALERT_MAIL_TO" in refused.output


def test_a_moment_is_a_span_or_a_time(setting: Callable[..., None]) -> None:
    setting(timezone="America/New_York")
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert moment("30m", now=now) == now + dt.timedelta(minutes=30)
    assert moment("2d", now=now) == now + dt.timedelta(days=2)
    assert moment("2026-01-02T07:00").isoformat() == "2026-01-02T07:00:00-05:00"
    assert moment("2026-01-02T07:00+01:00").isoformat() == "2026-01-02T07:00:00+01:00"
    for wrong in ("soon", "0h", "8 h", "-1d"):
        with pytest.raises(ConfigurationError, match="is no time"):
            moment(wrong)
