"""People, sign-ins and activity: seen and done by admins alone, whoever asks the database."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bi_app.api.tables import TABLES
from bi_app.auth import people as accounts
from bi_app.auth.accounts import create_account
from bi_app.models import activity, people, sign_ins
from bi_app.pages import activity as activity_page
from bi_app.pages import people as people_page
from bi_app.pages import sign_ins as sign_ins_page
from tests.bi_app.client import Client
from tests.bi_app.fix_app import EMAILS, PASSWORD
from tests.bi_app.test_journeys import PHONE, READY, Journey, journey
from warehouse import audit
from warehouse.access import Viewer, acting_as
from warehouse.audit_chain import Wanted, entries, verify
from warehouse.database import connect
from warehouse.errors import ConfigurationError

__all__ = ["journey"]
ADMIN = Viewer(EMAILS["admin"], "admin")
LIBRARIAN = Viewer(EMAILS["librarian"], "librarian", ("CEN",))
GUEST = "guest@library.example"
TYPED = '"><img src=x onerror=alert(1)>@x.example'


@pytest.fixture
def guest(here: str) -> Iterator[int]:
    """An account of its own, gone afterwards."""
    number = create_account(GUEST, "A Guest", "librarian", ("CEN",), None, PASSWORD)
    yield number
    with connect() as db:
        db.execute("delete from app.accounts where email = any(%s)", [[GUEST, "new@x.example"]])
        db.execute("delete from app.sign_ins where email = any(%s)", [[GUEST, TYPED]])


def asked(act: str, subject: Any, /, **fields: str) -> dict[str, Any]:
    return {"act": act, "subject": subject, **fields}


def test_an_account_is_changed_and_each_change_is_on_record(guest: int) -> None:
    def done(act: str, **fields: str) -> str:
        return people.act(ADMIN, asked(act, guest, **fields), "192.0.2.9")

    def now() -> accounts.Person:
        return accounts.person(ADMIN, guest)

    assert {a["act"] for a in people.offered(now())["acts"]} == {
        "set_role", "set_branches", "send_reset", "disable",
    }  # fmt: skip
    done("set_branches", branches="BEL, CEN ,")
    assert now().branches == ("BEL", "CEN")
    done("disable")
    assert now().state == "disabled"
    assert "enable" in {a["act"] for a in people.offered(now())["acts"]}
    done("enable")
    done("set_role", role="member")
    done("link_member", number="4711")
    assert people.sees(now()) == "own loans"
    noted = list(entries(Wanted(act="account", who=ADMIN.user)))[-5:]
    assert [e["details"]["what"] for e in noted] == [
        "set_branches", "disable", "enable", "set_role", "link_member",
    ]  # fmt: skip
    assert {(e["subject"], e["address"], e["door"]) for e in noted} == {
        (f"account {guest}", "192.0.2.9", "page")
    }
    assert "4711" not in str(noted)
    assert verify().unbroken


@pytest.mark.parametrize(
    "wrong",
    [
        asked("drop_database", 1),
        asked("disable", "1; drop table"),
        asked("disable", 10**12),
        asked("set_role", 1, role="owner"),
        asked("invite", 0, email="no address", role="member"),
        asked("invite", 0, email=EMAILS["member"], role="member"),
    ],
)
def test_what_is_wrong_is_told(guest: int, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        people.act(ADMIN, wrong)


def test_the_database_lets_admins_alone(guest: int) -> None:
    """Past every page: the login of librarians has no way to these rows or acts."""
    for viewer in (LIBRARIAN, Viewer(ADMIN.user, "librarian"), Viewer("m", "member", (), "m1")):
        for act in ("disable", "set_role", "end_sessions", "invite"):
            fields = {"role": "admin", "email": "new@x.example"}
            with pytest.raises((ConfigurationError, ProgrammingError)):
                people.act(viewer, asked(act, guest, **fields))
        for ask in (people.found, sign_ins.live):
            with pytest.raises((ConfigurationError, ProgrammingError)):
                ask(viewer)
        for query in ("app.sign_ins", "audit.entries", "app.accounts", "app.sessions"):
            with acting_as(viewer) as db, pytest.raises(ProgrammingError, match="denied"):
                db.execute(text(f"select 1 from {query}"))
    assert accounts.person(ADMIN, guest).state == "active"


@pytest.mark.parametrize("page", ["people", "sign_ins", "activity"])
@pytest.mark.parametrize("role", ["librarian", "member"])
def test_other_roles_are_refused_page_and_file(
    visitor: Callable[..., Client], page: str, role: str
) -> None:
    client = visitor(role)
    assert client.http.get(f"/{page}").status_code == 403
    assert client.http.get(f"/download/{page}/{page}.csv").status_code == 403


def test_a_session_is_ended_and_its_person_is_out(
    guest: int, visitor: Callable[..., Client]
) -> None:
    client = visitor()
    assert client.sign_in(GUEST, PASSWORD).status_code == 303
    one = next(s for s in sign_ins.live(ADMIN) if s.email == GUEST)
    table = sign_ins.sessions_table([one], "")
    assert table.data["end"][0]["subject"] == one.session_id
    assert sign_ins.sessions_table([one], one.session_id).data["end"] == [""]  # one's own
    assert GUEST in sign_ins.act(ADMIN, asked("end", one.session_id))
    assert client.http.get("/overview").status_code == 302
    with pytest.raises(ConfigurationError, match="no such live session"):
        sign_ins.act(ADMIN, asked("end", one.session_id))


def test_failed_sign_ins_by_account_and_address(guest: int) -> None:
    with connect() as db:
        for number in range(12):
            email = TYPED if number % 3 == 0 else GUEST.upper()
            db.execute(
                "insert into app.sign_ins (at, email, address, outcome) values"
                " (now() - interval '2 hours', %s, '192.0.2.77', %s)",
                [email, "locked" if number == 1 else "refused"],
            )
    by_account = sign_ins.tried(ADMIN, "account", 1)
    rows = {r[0]: dict(zip([c.key for c in by_account.columns], r, strict=True))
            for r in by_account.records()}  # fmt: skip
    assert (rows[GUEST]["attempts"], rows[GUEST]["locked"], rows[GUEST]["others"]) == (8, 1, 1)
    assert rows[GUEST]["state"] == "good|kept out"
    assert rows[TYPED.lower()]["state"] == "|no account"
    by_address = sign_ins.tried(ADMIN, "address", 1)
    at = by_address.data["tried"].index("192.0.2.77")
    assert (by_address.data["attempts"][at], by_address.data["others"][at]) == (12, 2)
    assert sum(value or 0 for _, value, _ in sign_ins.attempts(ADMIN)) >= 12
    with connect() as db:
        db.execute(
            "insert into app.sign_ins (email, address, outcome) values (%s, '192.0.2.77', 'ok')",
            [GUEST],
        )
        db.execute("update app.sign_ins set email = %s where email = %s", [GUEST, TYPED])
    answer = sign_ins_page.answer_of(ADMIN, "", {"days": "1"})
    card = next(c for c in answer.told["cards"] if c["name"] == "got_in")
    assert (card["value"], card["look"]) == ("1", "bad")


def test_activity_is_filtered_and_counted(here: str) -> None:
    audit.note(audit.By("zed@x.example", "page", "member", "192.0.2.5"), "view", "/overview")
    audit.note(audit.By("zed@x.example", "export", "member"), "export", "/overview", rows=3)
    chosen = activity.choice({"days": "1", "who": "zed@x.example", "act": "export"})
    found = activity.entries_table(ADMIN, chosen)
    assert found.data["details"] == ["rows: 3"]
    told = activity_page.answer_of(ADMIN, {"who": "nobody", "outcome": "'; drop", "days": "x"}).told
    assert told["tables"]["activity"]["data"]["who"] == []
    assert told["query"] == {"days": "7", "who": "nobody", "act": "", "door": "", "outcome": ""}
    assert activity.days(ADMIN)[-1]["members"] >= 1
    pages = activity.pages_table(ADMIN, 1)
    assert "/overview" in pages.data["page"]
    assert len(activity.days_table(activity.days(ADMIN))) == activity.DAYS


def test_the_log_is_saved_as_a_file(here: str, visitor: Callable[..., Client]) -> None:
    audit.note(audit.By("zed@x.example", "cli", "system"), "backup", "=cmd()")
    got = visitor("admin").http.get("/download/activity/activity.csv?who=zed@x.example&act=backup")
    rows = list(csv.DictReader(io.StringIO(got.content.decode("utf-8-sig"))))
    assert [(r["Did"], r["What"], r["Outcome"]) for r in rows] == [("backup", "'=cmd()", "done")]
    for page, name in (("people", "people"), ("sign_ins", "sessions"), ("activity", "pages"),
                       ("sign_ins", "account"), ("activity", "active")):  # fmt: skip
        assert len(TABLES[page](ADMIN, name, {}).columns) > 2
        with pytest.raises(KeyError):
            TABLES[page](ADMIN, "no_such", {})


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18) Version/18 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130 Safari/537 Edg/130", "Edge on Windows"),
        ("curl/8.5.0", "curl/8.5.0"),
        (None, "unknown"),
    ],
)
def test_browsers_in_words(client: str | None, words: str) -> None:
    assert sign_ins.browser(client) == words


def test_the_people_page_answers_for_one_account(guest: int) -> None:
    told = people_page.answer_of(ADMIN, {"account": str(guest), "state": "disabled"})
    assert guest not in [v["subject"] for v in told["tables"]["people"]["data"]["email"]]
    assert told["detail"]["acts"]["alert"] == guest
    assert people_page.answer_of(ADMIN, {"account": "x"})["detail"].keys() == {"invite"}


ALL_DISABLED = (
    "[...document.querySelectorAll('[data-cell=people] tbody tr')]"
    ".every(row => row.textContent.includes('disabled'))"
)


@pytest.mark.browser
def test_an_admin_invites_and_disables(journey: Callable[..., Journey], guest: int) -> None:
    went = journey()
    page = went.sign_in("admin", "/people")
    page.fill("[data-form=invite] [name=email]", GUEST)
    page.click("[data-segment=state][value=active]")
    page.wait_for_function("new URLSearchParams(location.search).get('state') === 'active'")
    page.wait_for_function("!document.body.classList.contains('busy')")
    assert page.input_value("[data-form=invite] [name=email]") == GUEST, "an answer leaves it"
    page.click("[data-segment=state][value='']")
    page.click("[data-form=invite] button")
    page.wait_for_selector(".banner.error")
    assert page.input_value("[data-form=invite] [name=email]") == GUEST, "so does a refusal"
    page.fill("[data-form=invite] [name=email]", "new@x.example")
    page.select_option("[data-form=invite] [name=role]", "librarian")
    page.fill("[data-form=invite] [name=branches]", "CEN")
    page.click("[data-form=invite] button")
    page.wait_for_selector(".banner.done")
    told = page.text_content(".banner.done")
    assert told == "A link goes to new@x.example by mail."
    page.wait_for_function("!document.querySelector('[data-form=invite] [name=email]').value")
    assert "new@x.example" in page.text_content("[data-cell=people]")
    page.click(f"text={GUEST}")
    page.click("[data-form=disable] button")
    page.wait_for_selector("[data-form=enable]")
    assert "disabled" in page.text_content(".banner.done")
    page.click("[data-segment=state][value=disabled]")
    page.wait_for_function(ALL_DISABLED)
    assert GUEST in page.text_content("[data-cell=people]")
    assert "account=" in page.url
    assert "@" not in page.url
    page.goto(f"{went.base}/activity?act=account&days=1")
    page.wait_for_selector(READY)
    assert "what: disable" in page.text_content("[data-cell=activity]")
    went.check()


@pytest.mark.browser
def test_admin_pages_fit_a_phone_in_the_dark(journey: Callable[..., Journey], guest: int) -> None:
    went = journey(viewport=PHONE, color_scheme="dark", is_mobile=True)
    page = went.sign_in("admin", "/people")
    for path in (f"/people?account={guest}", "/sign_ins", "/activity"):
        page.goto(went.base + path)
        page.wait_for_selector(READY)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    went.check()
