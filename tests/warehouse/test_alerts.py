"""Alerts as each role: admin acts, librarian reads, member sees none; by raw SQL and by our own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from warehouse import alerts
from warehouse.access import Viewer, acting_as, claim
from warehouse.database import connect, engine
from warehouse.errors import ConfigurationError

ADMIN = Viewer("ann@example.org", "admin")
LIBRARIAN = Viewer("lin@example.org", "librarian", ("NORTH",))
MEMBER = Viewer("mo@example.org", "member", (), "m1")
TABLES = ("alerts", "alert_parts", "alert_events")
SECRET = ("alert_sources", "alert_watches", "notices", "notice_deliveries")
ACT = "select quality.act_on_alert(1, 'acknowledge')"


@pytest.fixture(autouse=True)
def _one_alert(database: str) -> None:
    with connect(autocommit=True) as owner:
        owner.execute(
            "insert into quality.alerts (cause, kind, title, severity)"
            " values ('data:x', 'contract', 'x: 1 check not held', 'warning')"
        )
        owner.execute(
            "insert into quality.alert_parts (alert_id, what, name, severity)"
            " values (1, 'check', 'c', 'warning'), (1, 'gold', 'g', null)"
        )
        owner.execute(
            "insert into quality.deliveries (channel, message_id, severity, subject, body)"
            " values ('mail', '<1@x>', 'warning', 's', 'b')"
        )


def ask(viewer: Viewer, question: str, *, writes: bool = False) -> object:
    with acting_as(viewer, writes=writes) as connection:
        return connection.execute(text(question)).scalar()


@pytest.mark.parametrize("table", TABLES)
def test_staff_read_and_members_do_not(table: str) -> None:
    question = f"select count(*) > 0 from quality.{table}"
    assert ask(ADMIN, question) is True
    assert ask(LIBRARIAN, question) is True
    with pytest.raises(ProgrammingError, match="permission denied"):
        ask(MEMBER, question)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("made", [str, partial(claim, ADMIN, now=0), partial(claim, MEMBER)])
def test_without_a_claim_that_holds_there_is_no_row(table: str, made: Callable[[], str]) -> None:
    signed = made()
    for role in ("admin", "librarian"):
        with engine(role).begin() as connection:
            connection.execute(text("select set_config('carrel.claim', :c, true)"), {"c": signed})
            assert connection.execute(text(f"select count(*) from quality.{table}")).scalar() == 0


@pytest.mark.parametrize("viewer", [ADMIN, LIBRARIAN, MEMBER])
@pytest.mark.parametrize(
    "attack",
    [
        "update quality.alerts set state = 'resolved'",
        "delete from quality.alerts",
        "insert into quality.alerts (cause, kind, title, severity) values ('', 'step', '', 'info')",
        "insert into quality.alert_events (alert_id, who, action, to_state) values (1, '', '', '')",
        "update quality.alert_events set who = 'someone else'",
        "update quality.alert_parts set until = now()",
        "select quality.move_alert(1, 'acknowledge', 'someone else')",
        "select body from quality.deliveries",
        "update quality.deliveries set sent_at = now()",
        *(f"select * from quality.{table}" for table in SECRET),
    ],
)
def test_raw_sql_changes_nothing_and_reads_no_more(viewer: Viewer, attack: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        ask(viewer, attack, writes=True)


def test_an_admins_act_bears_the_name_of_the_claim() -> None:
    alerts.act(ADMIN, 1, "acknowledge", note="on it")
    one, parts, events = alerts.shown(LIBRARIAN, 1)
    assert (one.state, one.acknowledged_by) == ("acknowledged", ADMIN.user)
    assert (one.checks, one.held, len(parts)) == (1, 1, 2)
    assert [(e.who, e.action) for e in events] == [
        ("carrel", "opened"),
        (ADMIN.user, "acknowledged"),
    ]
    with pytest.raises(ConfigurationError, match="Alert 1 is acknowledged already"):
        alerts.act(ADMIN, 1, "acknowledge")
    alerts.act(ADMIN, 1, "snooze", until=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    assert alerts.inbox(LIBRARIAN)[0].snoozed
    alerts.act(ADMIN, 1, "resolve", reason="fixed")
    assert alerts.inbox(ADMIN) == []
    assert [a.reason for a in alerts.inbox(ADMIN, resolved=True)] == ["fixed"]


@pytest.mark.parametrize("viewer", [LIBRARIAN, MEMBER])
def test_others_do_not_act(viewer: Viewer) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        alerts.act(viewer, 1, "acknowledge")
    with pytest.raises(ProgrammingError, match="permission denied"):
        ask(viewer, ACT, writes=True)
    assert alerts.inbox(ADMIN)[0].state == "open"


@pytest.mark.parametrize("made", [str, partial(claim, ADMIN, now=0), partial(claim, LIBRARIAN)])
def test_an_admins_login_without_the_claim_does_not_act(made: Callable[[], str]) -> None:
    signed = made()
    with engine("admin").begin() as connection:
        connection.execute(text("set transaction read write"))
        connection.execute(text("select set_config('carrel.claim', :c, true)"), {"c": signed})
        with pytest.raises(ProgrammingError, match="acted on by admins"):
            connection.execute(text(ACT))


def test_reading_does_not_act() -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        ask(ADMIN, ACT)


def test_a_member_sees_no_inbox() -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        alerts.inbox(MEMBER)


def test_the_worst_and_the_oldest_come_first_and_the_snoozed_last() -> None:
    with connect(autocommit=True) as owner:
        for number, severity in ((2, "info"), (3, "critical"), (4, "critical"), (5, "warning")):
            owner.execute(
                "insert into quality.alerts (cause, kind, title, severity)"
                " values (%s, 'step', 'x', %s)",
                [str(number), severity],
            )
    alerts.act(ADMIN, 3, "snooze", until=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    assert [a.alert_id for a in alerts.inbox(ADMIN)] == [4, 1, 5, 2, 3]
    assert all(a.age > dt.timedelta(0) for a in alerts.inbox(ADMIN))
