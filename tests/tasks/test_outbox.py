"""Mails and webhooks to real servers: once, in digests, not by night, and through every kill."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quality.alerts import raise_alerts
from quality.soda import Check
from quality.verdict import Verdict, save
from tasks.outbox import deliver, is_quiet
from tests.tasks.conftest import ask
from tests.tasks.fix_smtp import PASSWORD, Post, serving
from tests.tasks.fix_web import OK, Web
from warehouse import alerts
from warehouse.database import connect
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.spec import dataset as dataset_named

PERSON = "Mo Miller, mo@example.org"
ANY = dataset_named("library_branches")  # whose scores are kept does not matter here
Setting = Callable[..., None]
Mp = multiprocessing.get_context("forkserver")


def soon(**span: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(**span)


def breach(dataset: str, run_id: str = "r1", *, severity: str = "failed", checks: int = 1) -> None:
    """A contract that does not hold; the verdict's own message names a person."""
    found = tuple(
        Check(f"check {i} of {dataset}", "missing", "name", 4.0, "must be: 0", severity)
        for i in range(checks)
    )
    outcome: Any = "failed" if severity == "failed" else "passed"
    save(Verdict(dataset, outcome, found, message=PERSON, run_id=run_id), ANY)
    raise_alerts(run_id=run_id)


def test_one_mail_by_starttls_and_sign_in(database: str, post: Post, setting: Setting) -> None:
    setting(app_url="https://desk.library.example/")
    breach("shop_a", checks=25)
    assert deliver().sent == 1
    (mail,) = post.mails()
    assert mail["Subject"] == "[Carrel] critical: shop_a: 25 checks not held"
    assert post.to == ["ann@library.example", "lin@library.example"]
    assert mail["From"] == "Carrel <desk@library.example>"
    assert mail["Message-ID"].endswith("@library.example>")
    body = mail.get_content()
    assert "check check 3 of shop_a: measured 4, must be: 0 (critical)" in body
    assert "and 5 more" in body
    assert "https://desk.library.example/alerts?alert=1" in body
    assert PERSON not in body
    assert deliver().sent == 0


def test_each_address_is_told_from_its_own_severity_on(
    database: str, post: Post, setting: Setting
) -> None:
    setting(
        alert_mail_to="desk@library.example, critical = head@library.example,info=data@x.example"
    )
    for severity in ("info", "warning", "critical"):
        check = Check("check", "missing", "name", 4.0, "must be: 0", "failed", severity=severity)
        outcome: Any = "failed" if severity == "critical" else "passed"
        save(Verdict(f"shop_{severity}", outcome, (check,), run_id="r1"), ANY)
        raise_alerts(run_id="r1")
        assert deliver(soon(minutes=1)).sent == 1
    told = {m["Subject"].split()[1]: m["To"] for m in post.mails()}
    assert told == {
        "info:": "data@x.example",
        "warning:": "desk@library.example, data@x.example",
        "critical:": "desk@library.example, head@library.example, data@x.example",
    }


def test_one_mail_by_tls(
    database: str, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, post: Post
) -> None:
    with serving(tmp_path / "sealed", "tls") as sealed:
        setting(
            smtp_port=sealed.port, smtp_security="tls", smtp_ca=sealed.folder / "certificate.pem"
        )
        breach("shop_a")
        assert deliver().sent == 1
        assert len(sealed.mails()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"smtp_ca": ""}, "cannot be trusted"),
        ({"smtp_user": "someone"}, "does not let us in"),
        ({"smtp_user": ""}, "answered 530"),
        ({"smtp_security": "none"}, "not sent unsealed"),
        ({"smtp_security": "tls"}, "mail server"),
        ({"smtp_port": 1}, "ConnectionRefusedError"),
        ({"mail_from": "no\naddress"}, "address of mail is wrong"),
        ({"smtp_ca": "/dev/null"}, "holds no certificates"),
    ],
)
def test_what_does_not_hold_is_said_and_nothing_is_sent(
    database: str, post: Post, setting: Setting, changes: dict[str, Any], said: str
) -> None:
    setting(**changes)
    if changes.get("smtp_ca") == "":
        del os.environ["CARREL_SMTP_CA"]
        setting()
    breach("shop_a")
    with pytest.raises(CarrelError, match=said) as raised:
        deliver().require_success()
    assert PASSWORD not in str(raised.value)
    assert post.mails() == []
    ((attempts, error),) = ask("select attempts, last_error from quality.deliveries")
    assert attempts == 1
    assert PASSWORD not in error


def test_a_server_that_refuses_is_asked_again_later(database: str, post: Post) -> None:
    breach("shop_a")
    with post.that("refuse"):
        assert deliver().failed
    assert deliver().sent == 0, "not at once"
    ask_later()
    assert deliver().sent == 1
    assert len(post.mails()) == 1
    assert ask("select attempts, last_error from quality.deliveries") == [(2, None)]


def ask_later() -> None:
    with connect(autocommit=True) as owner:
        owner.execute("update quality.deliveries set next_try_at = now()")


def test_after_three_days_it_is_given_up(database: str, post: Post) -> None:
    breach("shop_a")
    with post.that("refuse"):
        deliver()
        with connect(autocommit=True) as owner:
            owner.execute(
                "update quality.deliveries set made_at = now() - interval '4 days',"
                " next_try_at = now()"
            )
        deliver()
    ask_later()
    assert deliver().sent == 0
    assert ask("select gave_up_at is not null from quality.deliveries") == [(True,)]


def test_several_go_in_one_mail_and_wait_for_each_other(
    database: str, post: Post, setting: Setting
) -> None:
    setting(alert_digest_min=10)
    for name in "abc":
        breach(f"shop_{name}", severity="warned")
    assert deliver(soon()).sent == 0
    assert deliver(soon(minutes=11)).sent == 1
    (mail,) = post.mails()
    assert mail["Subject"] == "[Carrel] warning: 3 alerts"
    assert all(f"shop_{name}: 1 check not held" in mail.get_content() for name in "abc")
    breach("shop_d")
    assert deliver(soon()).sent == 1, "a critical one does not wait"


def test_never_twice_unless_opened_again_or_worse(database: str, post: Post) -> None:
    def told() -> list[str]:
        deliver()
        return [m["Subject"] for m in post.mails()]

    breach("shop_a", "r1", severity="warned")
    assert len(told()) == 1
    breach("shop_a", "r2", severity="warned")
    assert len(told()) == 1
    breach("shop_a", "r3")
    assert told()[1].startswith("[Carrel] critical")
    breach("shop_a", "r4")
    assert len(told()) == 2
    alerts.act("ann", 1, "resolve", reason="fixed")
    breach("shop_a", "r5")
    assert len(told()) == 3
    assert "re-opened" in post.mails()[2].get_content()


def test_the_snoozed_and_the_slight_are_not_told(
    database: str, post: Post, setting: Setting
) -> None:
    setting(alert_least="critical")
    breach("shop_a", severity="warned")
    breach("shop_b")
    alerts.act("ann", 2, "snooze", until=soon(hours=1))
    assert deliver(soon()).sent == 0
    assert deliver(soon(hours=2)).sent == 1
    assert "shop_b" in post.mails()[0]["Subject"]


def test_old_news_is_none(database: str, post: Post) -> None:
    breach("shop_a")
    assert deliver(soon(days=4)).sent == 0


@pytest.mark.parametrize(
    ("hours", "zone", "at", "quiet"),
    [
        ("22:00-07:00", "Europe/London", "2026-01-10T23:00+00:00", True),
        ("22:00-07:00", "Europe/London", "2026-01-10T06:59+00:00", True),
        ("22:00-07:00", "Europe/London", "2026-01-10T07:00+00:00", False),
        ("22:00-07:00", "Europe/London", "2026-07-10T06:30+00:00", False),  # summer time
        ("22:00-07:00", "America/New_York", "2026-01-10T23:00+00:00", False),
        ("12:00-13:00", "UTC", "2026-01-10T12:30+00:00", True),
        ("12:00-13:00", "UTC", "2026-01-10T13:00+00:00", False),
        ("", "UTC", "2026-01-10T13:00+00:00", False),
    ],
)
def test_quiet_hours_go_by_the_clock_of_their_zone(
    setting: Setting, hours: str, zone: str, at: str, quiet: bool
) -> None:
    setting(alert_quiet=hours, alert_timezone=zone)
    assert is_quiet(dt.datetime.fromisoformat(at)) is quiet


def test_a_zone_or_hours_that_are_none_are_said(setting: Setting) -> None:
    setting(alert_quiet="22:00-07:00", alert_timezone="Moon/Crater")
    with pytest.raises(ConfigurationError, match="no time zone"):
        is_quiet(soon())
    setting(alert_quiet="10pm")
    with pytest.raises(ConfigurationError, match="CARREL_ALERT_QUIET"):
        is_quiet(soon())


def test_by_night_only_the_critical_and_those_by_setting(
    database: str, post: Post, setting: Setting
) -> None:
    begin = soon(hours=-1)
    end = soon(hours=1)
    setting(alert_quiet=f"{begin:%H:%M}-{end:%H:%M}", alert_timezone="UTC")
    breach("shop_a", severity="warned")
    breach("shop_b")
    setting(alert_quiet_critical="false")
    assert deliver(soon()).sent == 0
    setting(alert_quiet_critical="true")
    assert deliver(soon()).sent == 1
    assert "shop_a" not in post.mails()[0].get_content()
    assert deliver(soon(hours=2)).sent == 1
    assert "shop_a" in post.mails()[1].get_content()


# Webhook ----------------------------------------------------------------------------------------


@pytest.fixture
def hook(web: Web, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> Web:
    monkeypatch.setenv("CARREL_SECRET_ALERT_WEBHOOK", "a key")
    setting(alert_webhook=f"{web.url}/hook", remote_attempts=2)
    web.pages["/hook"] = lambda _: (204, {}, b"")
    return web


def test_a_webhook_is_json_and_signed(database: str, hook: Web) -> None:
    breach("shop_a", severity="warned")
    assert deliver().sent == 1
    (asked,) = hook.of("/hook")
    assert asked.method == "POST"
    signed = f"{asked.headers['x-carrel-timestamp']}.{asked.body}".encode()
    wanted = hmac.new(b"a key", signed, hashlib.sha256).hexdigest()
    assert asked.headers["x-carrel-signature"] == f"sha256={wanted}"
    document = json.loads(asked.body)
    assert document["event"] == "quality.breach"
    assert document["delivery"] == asked.headers["x-carrel-delivery"]
    (one,) = document["alerts"]
    assert (one["dataset"], one["severity"], one["occasion"]) == ("shop_a", "warning", "opened")
    assert one["parts"][0]["name"] == "check 0 of shop_a"
    assert PERSON not in asked.body


def test_a_webhook_is_tried_again_with_the_same_number(database: str, hook: Web) -> None:
    answers = iter([503, 500, 503, 200])
    hook.pages["/hook"] = lambda _: (next(answers), OK, b"{}")
    breach("shop_a")
    assert deliver().failed
    ask_later()
    assert deliver().sent == 1
    asked = hook.of("/hook")
    assert len(asked) == 4
    assert len({(a.headers["x-carrel-delivery"], a.body) for a in asked}) == 1


def test_a_webhook_goes_where_it_is_sent_and_nowhere_else(database: str, hook: Web) -> None:
    hook.pages["/hook"] = lambda _: (307, {"Location": f"{hook.url}/other"}, b"")
    breach("shop_a")
    assert deliver().failed
    assert hook.of("/other") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"http_hosts": ""}, "private address"),
        ({"http_hosts": "example.org"}, "not allowed"),
        ({"alert_webhook": "ftp://x"}, "must start with"),
    ],
)
def test_a_webhook_keeps_the_rules_for_hosts(
    database: str, hook: Web, setting: Setting, changes: dict[str, str], said: str
) -> None:
    setting(**changes)
    breach("shop_a")
    with pytest.raises(CarrelError, match=said):
        deliver().require_success()
    assert hook.asked == []


def test_a_webhook_without_its_key_is_not_sent(
    database: str, hook: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARREL_SECRET_ALERT_WEBHOOK")
    breach("shop_a")
    with pytest.raises(CarrelError, match="alert_webhook"):
        deliver().require_success()


def test_mail_that_fails_does_not_stop_the_webhook(database: str, hook: Web, post: Post) -> None:
    breach("shop_a")
    with post.that("refuse"):
        done = deliver()
    assert (done.sent, len(done.failed)) == (1, 1)
    assert len(hook.of("/hook")) == 1


# Kills ------------------------------------------------------------------------------------------


def sender(environment: dict[str, str]) -> None:
    """What the child does."""
    os.environ.clear()
    os.environ.update(environment)
    from tasks.outbox import deliver
    from warehouse.settings import settings

    settings.cache_clear()
    deliver()


@contextmanager
def child() -> Iterator[Any]:
    """A process that delivers, killed when the block ends."""
    Mp.set_forkserver_preload(["tasks.outbox"])
    process = Mp.Process(target=sender, args=(dict(os.environ),), daemon=True)
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        wait(lambda: not ask(OTHERS))


OTHERS = (
    "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    " and query ilike '%%quality.%%' and state <> 'idle'"
)


def wait(question: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not question():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_kill_after_the_mail_was_taken_sends_the_same_mail_again(
    database: str, post: Post
) -> None:
    breach("shop_a")
    with post.that("hold"), child():
        wait(post.mails)
    assert deliver().sent == 1
    first, second = post.mails()
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()
    assert deliver().sent == 0


def test_a_kill_before_the_mail_was_taken_loses_nothing(database: str, post: Post) -> None:
    breach("shop_a")
    (post.folder / "greeting").unlink(missing_ok=True)
    with post.that("deaf"), child():
        wait((post.folder / "greeting").exists)
        assert ask("select count(*) from quality.deliveries") == [(1,)]
    assert deliver().sent == 1
    assert len(post.mails()) == 1


def test_two_that_deliver_at_once_send_one_mail(database: str, post: Post) -> None:
    breach("shop_a")
    with post.that("hold"), child() as process:
        wait(post.mails)
        assert deliver().sent == 0
        (post.folder / "hold").unlink()
        process.join(60)
        (post.folder / "hold").touch()
    assert len(post.mails()) == 1
    assert deliver().sent == 0


def test_kills_at_any_moment(database: str, post: Post) -> None:
    """Six alerts, six kills: each alert in one message, which goes as one mail or copies of it."""
    pick = random.Random(4)
    for number in range(6):
        breach(f"shop_{number}", f"r{number}")
        with child() as process:
            wait(lambda: ask(OTHERS) or not process.is_alive())
            time.sleep(pick.uniform(0, 0.08))
    while deliver().sent:
        pass
    copies = Counter((m["Message-ID"], m.get_content()) for m in post.mails())
    assert len(copies) == len({message for message, _ in copies})
    together = "\n".join(text for _, text in copies)
    for number in range(6):
        assert together.count(f"shop_{number}: 1 check not held") == 1
    packed = ask("select count(*), count(distinct notice_id) from quality.notice_deliveries")
    assert packed == [(6, 6)]
