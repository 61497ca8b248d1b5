"""Reports by mail through a real mail server: once, with the rights of today, through kills."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner

from bi_app.auth import unsubscribing
from bi_app.models import store
from deployments import report_mail
from deployments.cli import app
from deployments.report_flow import mail_reports
from deployments.report_mail import send_due
from tests.bi_app.fix_app import EMAILS, OWN, filled
from tests.bi_app.pdf_text import pages
from tests.fix_warehouse import NONE, use
from tests.tasks.fix_smtp import Post, post
from warehouse.database import connect
from warehouse.errors import CarrelError
from warehouse.settings import ROOT

__all__ = ["post"]
Setting = Callable[..., None]
SEND = [sys.executable, "-c", "from deployments.report_mail import send_due; send_due()"]
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def house(template: str) -> Iterator[str]:
    """A database with a small library and an account a role."""
    with filled("carrel_reports", template) as name:
        yield name


@pytest.fixture
def mailed(house: str, post: Post) -> Iterator[Post]:
    """The library, and a mail server; nobody has anything mailed."""
    use(house)
    store.forget()
    yield post
    with connect() as db:
        db.execute("delete from app.subscriptions")
        db.execute(
            "update app.accounts set disabled_at = null, role = 'librarian', branches = %(own)s"
            " where email = %(email)s and (disabled_at is not null or role <> 'librarian'"
            " or branches <> %(own)s)",
            {"own": list(OWN), "email": EMAILS["librarian"]},
        )
    store.forget()
    use(NONE)


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def want(role: str = "librarian", page: str = "circulation", **more: Any) -> int:
    """A subscription that was due an hour ago; returns its number."""
    values = {
        "email": EMAILS[role], "page": page, "choice": json.dumps(more.pop("choice", {})),
        "files": more.pop("files", ["pdf"]), "due": more.pop("due", now() - HOUR),
    }  # fmt: skip
    with connect() as db:
        row = db.execute(
            "insert into app.subscriptions"
            " (account_id, page, choice, every, at_hour, files, next_due_at)"
            " select account_id, %(page)s, %(choice)s, 'day', extract(hour from now() at time zone"
            " 'Europe/London')::int, %(files)s, %(due)s from app.accounts where email = %(email)s"
            " returning subscription_id",
            values,
        ).fetchone()
    assert row
    return int(row[0])


def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connect(autocommit=True) as db:
        done = db.execute(query, values)  # type: ignore[arg-type]
        return done.fetchall() if done.description else []


def states() -> list[tuple[Any, ...]]:
    return ask("select state, attempts from app.sendings order by due_at")


def wait(question: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not question():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sends what is due, killed with signal 9 when the block ends."""
    process = subprocess.Popen(SEND, cwd=ROOT, env=dict(os.environ))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        wait(lambda: not ask("select 1 from pg_locks where locktype = 'advisory'"
                             " and pid <> pg_backend_pid() and database = (select oid from"
                             " pg_database where datname = current_database())"))  # fmt: skip


def parts(mail: EmailMessage) -> dict[str, bytes]:
    return {str(p.get_filename()): p.get_content() for p in mail.iter_attachments()}


def body(mail: EmailMessage) -> str:
    found = mail.get_body()
    assert found
    return str(found.get_content())


# What is sent -------------------------------------------------------------------------------------


def test_the_report_with_its_figures_files_and_ways_out(mailed: Post, setting: Setting) -> None:
    setting(app_url="https://desk.library.example")
    number = want(files=["pdf", "xlsx"], choice={"measure": ["renewals"], "branch": ["CEN"]})
    assert send_due().sent == 1
    (mail,) = mailed.mails()
    assert mailed.to == [EMAILS["librarian"]]
    assert mail["Subject"].startswith("Circulation: report of ")
    text = body(mail)
    assert "Measure: Renewals" in text
    assert "Branches: Central" in text
    assert "Checkouts: " in text
    assert "all changes before" in text.lower()
    assert "https://desk.library.example/circulation?branch=CEN&measure=renewals" in text
    for personal in (EMAILS["librarian"], "Librarian Person"):
        assert personal not in mail["Subject"]
        assert personal not in text
    files = parts(mail)
    (pdf,) = (f for n, f in files.items() if n.endswith(".pdf"))
    (book,) = (f for n, f in files.items() if n.endswith(".xlsx"))
    assert "For: Librarian" in "".join(pages(pdf))
    assert openpyxl.load_workbook(io.BytesIO(book)).sheetnames[-1] == "About"
    link = unsubscribing.link(number)
    assert mail["List-Unsubscribe"] == f"<{link}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"End it: {link}" in text
    raw = next((mailed.folder / "mail").iterdir()).read_bytes()
    assert f"List-Unsubscribe: <{link}>".encode() in raw.replace(b"\r\n ", b" "), "not encoded"
    assert send_due().sent == 0


def test_it_speaks_the_language_of_its_person(mailed: Post) -> None:
    want(files=["pdf", "xlsx"], choice={"branch": ["CEN"]})
    speak = "update app.accounts set language = %s where email = %s returning 1"
    ask(speak, "de", EMAILS["librarian"])
    try:
        assert send_due().sent == 1
    finally:
        ask(speak, None, EMAILS["librarian"])
    (mail,) = mailed.mails()
    assert mail["Subject"].startswith("Ausleihe: Bericht vom ")
    text = body(mail)
    for said in ("Zeitraum: ", "Zweigstellen: Central", "Ausleihen: ", "lle Änderungen vor ",
                 "Der ganze Bericht ist angehängt: PDF und Excel.", "Beenden: "):  # fmt: skip
        assert said in text
    files = parts(mail)
    (pdf,) = (f for n, f in files.items() if n.endswith(".pdf"))
    assert "Für: Bibliothek" in "".join(pages(pdf))
    (book,) = (f for n, f in files.items() if n.endswith(".xlsx"))
    first = openpyxl.load_workbook(io.BytesIO(book)).worksheets[0]
    assert "From" in [cell.value for cell in first[1]], "workbooks stay English"


def test_it_goes_on_the_record_as_an_export_of_its_person(mailed: Post) -> None:
    number = want()
    send_due()
    assert ask(
        "select who, role, door, subject, details -> 'kind', details ->> 'subscription'"
        " from audit.entries where act = 'export' order by entry_id desc limit 1"
    ) == [(EMAILS["librarian"], "librarian", "mail", "/circulation", ["pdf"], str(number))]


def test_each_role_is_sent_its_own_part(mailed: Post) -> None:
    for role in ("admin", "librarian"):
        want(role, "branches", files=["xlsx"])
    want("member", "overview")
    assert send_due().sent == 3
    seen = {}
    for mail in mailed.mails():
        for name, file in parts(mail).items():
            if name.endswith(".xlsx"):
                book = openpyxl.load_workbook(io.BytesIO(file))
                seen[mail["To"]] = {row[0].value for row in book.worksheets[1].iter_rows(2)}
    assert seen[EMAILS["librarian"]] < seen[EMAILS["admin"]]


# Whose rights -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("disabled_at = now()", "the account is disabled"),
        ("role = 'member', branches = '{}'", "not open to your role"),
    ],
)
def test_who_may_not_any_more_is_sent_nothing(mailed: Post, change: str, why: str) -> None:
    want()
    ask(f"update app.accounts set {change} where email = %s", EMAILS["librarian"])
    assert send_due().sent == 0
    assert mailed.mails() == []
    ((paused,),) = ask("select paused_why from app.subscriptions")
    assert why in paused
    assert states() == [("not sent", 0)]
    ((outcome, details),) = ask(
        "select outcome, details from audit.entries where act = 'subscription'"
        " order by entry_id desc limit 1"
    )
    assert (outcome, details["what"]) == ("refused", "paused")
    ask("update app.subscriptions set next_due_at = now() - interval '1 minute'")
    assert send_due().sent == 0, "paused until its person wants it again"
    assert len(states()) == 1


def test_fewer_branches_since_are_fewer_in_the_mail(mailed: Post) -> None:
    want(page="branches", files=["xlsx"])
    ask("update app.accounts set branches = '{CEN}' where email = %s", EMAILS["librarian"])
    assert send_due().sent == 1
    (file,) = parts(mailed.mails()[0]).values()
    book = openpyxl.load_workbook(io.BytesIO(file))
    assert len(list(book.worksheets[1].iter_rows(2))) == 1


# Once ---------------------------------------------------------------------------------------------


def test_a_machine_that_was_off_for_days_sends_one(mailed: Post) -> None:
    want(due=now() - dt.timedelta(days=9))
    assert send_due().sent == 1
    ((due,),) = ask("select due_at from app.sendings")
    assert now() - due < dt.timedelta(days=1)
    ((next_at,),) = ask("select next_due_at from app.subscriptions")
    assert next_at > now()


def test_each_due_date_has_one_mail(mailed: Post) -> None:
    want()
    base = now()
    counts = [send_due(base + dt.timedelta(days=n)).sent for n in (0, 0, 1, 1, 2)]
    assert counts == [1, 0, 1, 0, 1]
    assert len({m["Message-ID"] for m in mailed.mails()}) == 3


def test_a_kill_between_sending_and_noting_sends_no_second(mailed: Post) -> None:
    want()
    with mailed.that("hold"), child():
        wait(mailed.mails)
    assert states() == [("sending", 1)]
    assert send_due().sent == 0
    assert states() == [("uncertain", 1)]
    assert len(mailed.mails()) == 1


def test_a_kill_before_the_server_had_it_is_told_and_can_be_made_good(mailed: Post) -> None:
    want()
    (mailed.folder / "greeting").unlink(missing_ok=True)
    with mailed.that("deaf"), child():
        wait((mailed.folder / "greeting").exists)
    assert send_due().sent == 0
    assert states() == [("uncertain", 1)]
    tomorrow = now() + dt.timedelta(days=1)
    assert send_due(tomorrow).sent == 1
    assert "may not have reached you" in body(mailed.mails()[0])
    assert send_due(tomorrow + dt.timedelta(days=1)).sent == 1
    assert "may not have reached you" not in body(mailed.mails()[1]), "told once"
    ((number,),) = ask("select sending_id from app.sendings where state = 'uncertain'")
    from bi_app.models import subscriptions
    from tests.bi_app.test_report_mails import viewer

    assert not subscriptions.send_again(viewer("admin"), number, ""), "not another's"
    assert subscriptions.send_again(viewer("librarian"), number, "")
    assert send_due(tomorrow + dt.timedelta(days=1)).sent == 1
    assert {s for s, _ in states()} == {"sent"}


def test_two_that_send_at_once_send_one_mail(mailed: Post) -> None:
    want()
    with mailed.that("hold"), child() as process:
        wait(mailed.mails)
        assert send_due().sent == 0
        (mailed.folder / "hold").unlink()
        process.wait(60)
        (mailed.folder / "hold").touch()
    assert len(mailed.mails()) == 1
    assert states() == [("sent", 1)]


def test_a_server_that_refuses_is_asked_again_for_a_day(mailed: Post) -> None:
    want()
    with mailed.that("refuse"), pytest.raises(CarrelError, match="answered 451"):
        send_due().require_success()
    assert send_due().sent == 0, "not at once"
    ask("update app.sendings set next_try_at = now()")
    with mailed.that("refuse"):
        send_due()
    ask("update app.sendings set next_try_at = now(), made_at = now() - interval '2 days'")
    with mailed.that("refuse"):
        assert send_due().failed
    assert [s for s, _ in states()] == ["not sent"]
    assert mailed.mails() == []


def test_one_that_cannot_be_made_does_not_stop_the_others(
    mailed: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    want("admin", "fines", due=now() - 2 * HOUR)
    want()
    real = report_mail.paper

    def broken(viewer: Any, page: str, *rest: Any, **more: Any) -> Any:
        if page == "fines":
            raise ZeroDivisionError
        return real(viewer, page, *rest, **more)

    monkeypatch.setattr(report_mail, "paper", broken)
    done = send_due()
    assert (done.sent, len(done.failed)) == (1, 1)
    assert sorted(s for s, _ in states()) == ["sent", "waiting"]


def test_one_that_was_ended_meanwhile_is_not_sent(
    mailed: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = want()
    real = report_mail.made

    def ended(*given: Any) -> Any:
        assert unsubscribing.end(number)
        return real(*given)

    monkeypatch.setattr(report_mail, "made", ended)
    send_due()
    assert mailed.mails() == []


def test_a_workbook_that_is_too_large_is_left_out_and_said(
    mailed: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_mail, "MOST_BYTES", 1000)
    want(files=["pdf", "xlsx"])
    send_due()
    (mail,) = mailed.mails()
    assert [n.rpartition(".")[2] for n in parts(mail)] == ["pdf"]
    assert "too large for a mail" in body(mail)


def test_without_a_mail_server_nothing_falls_due(house: str) -> None:
    use(house)
    try:
        want()
        assert send_due().sent == 0
        assert states() == []
    finally:
        ask("delete from app.subscriptions")
        use(NONE)


# The ways to it -----------------------------------------------------------------------------------


def test_the_flow_and_the_commands(mailed: Post) -> None:
    number = want()
    listed = CliRunner().invoke(app, ["reports", "list"])
    assert listed.exit_code == 0
    assert f"{number} {EMAILS['librarian']}" in listed.stdout
    assert mail_reports.fn() == 1
    assert "was sent" in CliRunner().invoke(app, ["reports", "list"]).stdout
    assert CliRunner().invoke(app, ["reports", "send"]).stdout == "0 sent\n"
