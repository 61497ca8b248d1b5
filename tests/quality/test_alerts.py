"""Alerts on a real database: one cause is one alert; counted, passed twice, opened again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from quality import signs
from quality.alerts import Breach, raise_alerts
from quality.soda import Check
from quality.verdict import Verdict, save
from tasks.record import StepEnd, record
from tests.flows.fix_desk import Desk
from warehouse import alerts, log
from warehouse.alerts import Alert
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.spec import dataset as dataset_named

WHO = "the tests"
ANY = dataset_named("library_branches")  # whose scores are kept does not matter here
HELD = Check("few members lack an address", "missing", "address", 412.0, "must be: 0", "failed")
WORTH = Check("oldest member", "aggregate", "born", 19010203.0, "must be more", "failed")
FINE = Check("some rows", "row_count", None, 7.0, "", "passed")


def judged(dataset: str, run_id: str, *checks: Check) -> list[Breach]:
    """Save a verdict as the verify step does, and look."""
    bad = any(c.outcome not in ("passed", "warned") for c in checks)
    save(Verdict(dataset, "failed" if bad else "passed", checks, run_id=run_id), ANY)
    return raise_alerts(run_id=run_id)


def step(name: str, dataset: str | None, state: Any, run_id: str, category: Any = None) -> None:
    with log.during(run_id):
        record(StepEnd(name, dataset, state, dt.datetime.now(dt.UTC), category=category))


def only() -> Alert:
    (found,) = alerts.inbox(WHO, resolved=True)
    return found


def parts(alert_id: int) -> set[tuple[str, str]]:
    return {(p.what, p.name) for p in alerts.shown(WHO, alert_id)[1] if p.until is None}


def actions(alert_id: int) -> list[str]:
    return [e.action for e in alerts.shown(WHO, alert_id)[2]]


def test_one_failed_file_is_one_alert_with_its_parts(desk: Desk) -> None:
    checks = [replace(HELD, name=f"check {i}") for i in range(5)]
    save(Verdict("desk_titles", "failed", (*checks, FINE), run_id="r1"), ANY)
    step("ingest", "desk_loans", "held", "r1")
    step("ingest", "desk_copies", "held", "r1")
    step("ingest", "desk_totals", "held", "r1")
    (breach,) = raise_alerts(run_id="r1")
    assert (breach.occasion, breach.severity, breach.dataset) == (
        "opened",
        "critical",
        "desk_titles",
    )
    assert (breach.checks, breach.held) == (5, 5)
    assert breach.title == "desk_titles: 5 checks not held"
    assert parts(only().alert_id) == {
        *(("check", f"check {i}") for i in range(5)),
        *(("dataset", f"desk_{n}") for n in ("loans", "copies", "totals")),
        ("gold", "desk_daily"),
        ("gold", "desk_popular"),
    }
    assert raise_alerts(run_id="r1") == []
    assert only().times == 1


def test_a_repeat_is_counted_and_told_once(database: str) -> None:
    assert len(judged("shop_a", "r1", HELD)) == 1
    assert judged("shop_a", "r2", HELD) == []
    assert judged("shop_a", "r3", HELD) == []
    assert (only().times, only().run_id, actions(only().alert_id)) == (3, "r3", ["opened"])


def test_it_closes_when_every_check_passed_twice_in_a_row(database: str) -> None:
    late = replace(HELD, name="another")
    judged("shop_a", "r1", HELD, late)
    judged("shop_a", "r2", FINE)
    judged("shop_a", "r3", HELD)  # one of them fails again: its count begins anew
    judged("shop_a", "r4", FINE)
    assert parts(only().alert_id) == {("check", HELD.name)}
    assert only().state == "open"
    judged("shop_a", "r5", FINE)
    assert (only().state, only().reason) == ("resolved", "passed")
    assert actions(only().alert_id) == ["opened", "resolved"]
    (again,) = judged("shop_a", "r6", HELD)
    assert (again.occasion, again.episode) == ("re-opened", 2)
    assert (only().state, only().times, only().reason) == ("open", 1, None)


def test_severity_rises_once_and_falls_silently(database: str) -> None:
    mild = replace(HELD, outcome="warned")
    assert [b.severity for b in judged("shop_a", "r1", mild)] == ["warning"]
    worse = judged("shop_a", "r2", mild, WORTH)
    assert [(b.occasion, b.severity) for b in worse] == [("escalated", "critical")]
    judged("shop_a", "r3", mild)
    assert judged("shop_a", "r4", mild) == []
    assert only().severity == "warning"
    assert judged("shop_a", "r5", WORTH) == [], "this episode's critical was told already"
    assert only().severity == "critical"


def test_the_severity_of_the_check_decides(database: str) -> None:
    mild = replace(HELD, severity="info")
    save(Verdict("shop_a", "passed", (mild,), run_id="r1"), ANY)
    (breach,) = raise_alerts(run_id="r1")
    assert breach.severity == "info"
    assert breach.held == 0


def test_a_step_tried_again_is_no_failure_and_one_in_vain_is(database: str) -> None:
    step("extract", "shop_a", "failed", "r1", "source")
    step("extract", "shop_a", "done", "r1")
    step("extract", "shop_b", "failed", "r1", "source")
    step("extract", "shop_b", "failed", "r1", "source")
    (breach,) = raise_alerts(run_id="r1")
    assert (breach.dataset, breach.title) == ("shop_b", "shop_b: extract failed (source)")
    assert only().category == "source"
    for run_id in ("r2", "r3"):
        step("verify", "shop_b", "done", run_id)
        raise_alerts(run_id=run_id)
    assert only().state == "resolved"


def test_another_runs_steps_are_left_until_they_cannot_be_tried_again(database: str) -> None:
    step("extract", "shop_a", "failed", "r1", "source")
    assert raise_alerts(run_id="r2") == []
    with connect(autocommit=True) as owner:
        owner.execute("update ops.steps set ended_at = ended_at - interval '3 minutes'")
    assert len(raise_alerts()) == 1


def test_one_server_that_fails_every_dataset_is_one_alert(database: str) -> None:
    for name in "abc":
        step("merge", f"shop_{name}", "failed", "r1", "infrastructure")
    (breach,) = raise_alerts(run_id="r1")
    assert (breach.checks, breach.dataset) == (3, None)


def test_a_profile_that_fails_holds_nothing_back(desk: Desk) -> None:
    step("observe", "desk_titles", "failed", "r1", "load")
    step("verify", "desk_titles", "done", "r1")
    (breach,) = raise_alerts(run_id="r1")
    assert (breach.severity, breach.held) == ("warning", 0)


def test_a_failure_of_publishing_passes_when_it_is_done_twice(database: str) -> None:
    step("publish", None, "failed", "r1", "load")
    raise_alerts(run_id="r1")
    for run_id in ("r2", "r3"):
        step("publish", None, "done", run_id)
        raise_alerts(run_id=run_id)
    assert only().state == "resolved"


def test_anomalies_join_the_alert_of_their_dataset(database: str) -> None:
    save(Verdict("shop_a", "failed", (HELD,), run_id="r1"), ANY)
    with connect(autocommit=True) as owner:
        owner.execute(
            "insert into quality.anomalies"
            " (dataset, metric, kind, day, run_id, score, severity, message)"
            " select d, 'volume', 'jump', current_date, 'r1', 5, 'warning', 'rows'"
            " from unnest(array['shop_a', 'shop_b']) d"
        )
    told = {b.dataset: (b.severity, b.checks) for b in raise_alerts(run_id="r1")}
    assert told == {"shop_a": ("critical", 2), "shop_b": ("warning", 1)}
    assert raise_alerts(run_id="r1") == []


def test_no_alert_holds_a_measured_value_that_may_be_a_persons(database: str) -> None:
    judged("shop_a", "r1", HELD, WORTH)
    details = {p.name: p.detail for p in alerts.shown(WHO, only().alert_id)[1]}
    assert details == {
        HELD.name: "measured 412, must be: 0",
        WORTH.name: "must be more",
    }


# Late -------------------------------------------------------------------------------------------


@pytest.fixture
def looked(desk: Desk) -> Callable[..., None]:
    """Notes looks at a dataset, each so many hours ago."""

    def looked(name: str, *hours: float) -> None:
        with connect(autocommit=True) as owner:
            owner.cursor().executemany(
                "insert into ops.loads (dataset, state, run_id, started_at)"
                " values (%s, 'unchanged', gen_random_uuid(), now() - %s * interval '1 hour')",
                [(name, h) for h in hours],
            )

    return looked


def watching(monkeypatch: pytest.MonkeyPatch) -> dt.datetime:
    monkeypatch.setattr(signs, "GRACE", dt.timedelta(0))
    return dt.datetime.now(dt.UTC)


def test_late_is_what_comes_later_than_ever_and_a_group_is_one_alert(
    looked: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = watching(monkeypatch)
    nightly = [37 + 24 * i for i in range(6)]
    looked("desk_titles", *nightly)
    looked("desk_copies", *nightly)
    looked("desk_loans", *(n - 2 for n in nightly))  # 35 hours: less than one and a half days
    looked("desk_totals", 900, 37)  # too few to learn from
    (breach,) = raise_alerts(now=now)
    assert (breach.kind, breach.severity) == ("late", "warning")
    assert parts(only().alert_id) == {("late", "desk_copies"), ("late", "desk_titles")}
    assert raise_alerts(now=now) == []
    assert only().times == 1
    alerts.act(WHO, only().alert_id, "resolve", reason="accepted")
    assert raise_alerts(now=now) == [], "resolved stays resolved until it is looked for again"
    looked("desk_copies", 0)
    raise_alerts(now=now)
    assert only().state == "resolved"


def test_late_is_over_when_it_was_looked_for(
    looked: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = watching(monkeypatch)
    looked("desk_titles", *(37 + 24 * i for i in range(6)))
    raise_alerts(now=now)
    looked("desk_titles", 0)
    raise_alerts(now=dt.datetime.now(dt.UTC))
    assert only().reason == "passed"


def test_a_spec_says_when_its_dataset_is_due(
    desk: Desk, looked: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = watching(monkeypatch)
    spec = desk.folder / "datasets" / "desk" / "titles.yml"
    spec.write_text("due: 1 week\n" + spec.read_text())
    looked("desk_titles", *(167 + i for i in range(6)))
    assert raise_alerts(now=now) == []
    (breach,) = raise_alerts(now=now + dt.timedelta(hours=2))
    assert breach.dataset == "desk_titles"


def test_what_fell_due_while_nobody_looked_has_time_to_be_made_up_for(
    looked: Callable[..., None],
) -> None:
    looked("desk_titles", *(37 + 24 * i for i in range(6)))
    now = dt.datetime.now(dt.UTC)
    assert raise_alerts(now=now) == []
    for minutes in (15, 30, 45):
        assert raise_alerts(now=now + dt.timedelta(minutes=minutes)) == []
    assert len(raise_alerts(now=now + dt.timedelta(minutes=60))) == 1


# Acts -------------------------------------------------------------------------------------------


def test_the_way_of_an_alert_is_on_record(database: str) -> None:
    with connect(autocommit=True) as owner:
        owner.execute(
            "insert into app.accounts (email, name, role, password_hash)"
            " values ('Lin@example.org', 'Lin', 'librarian', ''),"
            " ('mo@example.org', 'Mo', 'member', '')"
        )
    judged("shop_a", "r1", HELD)
    which = only().alert_id
    alerts.act("ann", which, "acknowledge", note="looking")
    assert (only().state, only().acknowledged_by) == ("acknowledged", "ann")
    with pytest.raises(ConfigurationError, match="acknowledged already"):
        alerts.act("ann", which, "acknowledge")
    for nobody in ("mo@example.org", "no@example.org", None):
        with pytest.raises(ConfigurationError, match="No admin or librarian"):
            alerts.act("ann", which, "assign", person=nobody)
    alerts.act("ann", which, "assign", person="lin@EXAMPLE.org", note="please")
    judged("shop_a", "r2", HELD)
    assert (only().state, only().assignee) == ("assigned", "lin@example.org")
    for wrong in ("passed", "because", None):
        with pytest.raises(ConfigurationError, match="reason is one of"):
            alerts.act("lin", which, "resolve", reason=wrong)
    alerts.act("lin", which, "resolve", reason="fixed", note="new file")
    with pytest.raises(ConfigurationError, match="is resolved"):
        alerts.act("ann", which, "acknowledge")
    alerts.act("ann", which, "reopen")
    assert parts(which) == {("check", HELD.name)}
    record = alerts.shown(WHO, which)[2]
    assert [(e.who, e.action, e.from_state, e.to_state, e.note) for e in record] == [
        ("carrel", "opened", None, "open", ""),
        ("ann", "acknowledged", "open", "acknowledged", "looking"),
        ("ann", "assigned", "acknowledged", "assigned", "to lin@example.org; please"),
        ("lin", "resolved", "assigned", "resolved", "fixed; new file"),
        ("ann", "re-opened", "resolved", "open", ""),
    ]


def test_a_snooze_ends_and_stands_on_record(database: str) -> None:
    judged("shop_a", "r1", HELD)
    which = only().alert_id
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    with pytest.raises(ConfigurationError, match="a time to come"):
        alerts.act(WHO, which, "snooze", until=until - dt.timedelta(hours=2))
    alerts.act(WHO, which, "snooze", until=until, note="known")
    assert only().snoozed
    alerts.act(WHO, which, "wake")
    assert not only().snoozed
    assert actions(which) == ["opened", "snoozed", "woken"]


def test_an_unknown_alert_is_said(database: str) -> None:
    with pytest.raises(ConfigurationError, match="no alert 7"):
        alerts.act(WHO, 7, "acknowledge")
    with pytest.raises(ConfigurationError, match="no alert 7"):
        alerts.shown(WHO, 7)


@pytest.mark.parametrize(
    "statement",
    [
        "update quality.alerts set state = 'acknowledged'",  # by nobody
        "update quality.alerts set state = 'assigned'",
        "update quality.alerts set state = 'resolved'",
        "update quality.alerts set state = 'resolved', reason = 'tired', resolved_by = 'x',"
        " resolved_at = now()",
        "update quality.alerts set episode = 7",
        "update quality.alerts set opened_at = now()",
        "update quality.alerts set cause = 'other'",
        "insert into quality.alerts (cause, kind, title, severity, state)"
        " values ('x', 'step', 'x', 'info', 'acknowledged')",
        "delete from quality.alerts",
        "update quality.alert_events set who = 'x'",
        "delete from quality.alert_events",
        "truncate quality.alert_events",
        "update quality.alerts set note = repeat('x', 2001)",
    ],
)
def test_not_even_the_owner_does_what_is_not_legal(database: str, statement: str) -> None:
    judged("shop_a", "r1", HELD)
    with connect() as owner, pytest.raises(psycopg.Error):
        owner.execute(statement.encode())


def events(owner: psycopg.Connection[Any]) -> int:
    (count,) = owner.execute("select count(*) from quality.alert_events").fetchone() or (0,)
    return int(count)


def test_one_opened_by_hand_stays_open_until_something_passes(database: str) -> None:
    judged("shop_a", "r1", HELD)
    judged("shop_a", "r2", FINE)
    judged("shop_a", "r3", FINE)
    alerts.act(WHO, only().alert_id, "reopen", note="I do not believe it")
    judged("shop_a", "r4", FINE)
    assert only().state == "open"


@pytest.mark.parametrize("to", ["open", "acknowledged", "assigned", "resolved"])
@pytest.mark.parametrize("origin", ["open", "acknowledged", "assigned", "resolved"])
def test_the_database_knows_which_states_follow(database: str, origin: str, to: str) -> None:
    judged("shop_a", "r1", HELD)
    every = (
        "update quality.alerts set state = %(to)s, acknowledged_by = 'x', acknowledged_at = now(),"
        " assignee = 'x', reason = case when %(to)s = 'resolved' then 'fixed' end,"
        " resolved_by = case when %(to)s = 'resolved' then 'x' end,"
        " resolved_at = case when %(to)s = 'resolved' then now() end"
    )
    order = ["open", "acknowledged", "assigned", "resolved"]
    with connect() as owner:
        if origin != "open":
            owner.execute(every, {"to": origin})
        before = events(owner)
        legal = order.index(to) >= order.index(origin) or (origin, to) == ("resolved", "open")
        if legal:
            owner.execute(every, {"to": to})
            assert events(owner) - before == (origin != to)
        else:
            with pytest.raises(psycopg.Error, match="cannot become"):
                owner.execute(every, {"to": to})
        owner.rollback()
