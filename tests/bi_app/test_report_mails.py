"""Asking for reports by mail: the times, the dialog, the list, who may see and end what."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bi_app.auth import sessions, unsubscribing
from bi_app.models import subscriptions
from bi_app.models.subscriptions import Times
from tests.bi_app.client import TOKEN, Client
from tests.bi_app.fix_app import EMAILS
from warehouse.access import Viewer, acting_as
from warehouse.database import connect
from warehouse.errors import ConfigurationError

LONDON = "Europe/London"
WEEKLY = {"every": "week", "weekday": "1", "day": "1", "hour": "7", "file": "pdf"}


def at(text_: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text_).replace(tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take back what a test asked for in the library that tests share."""
    shared = "here" in request.fixturenames
    if shared:
        request.getfixturevalue("here")
    yield
    if shared:
        with connect() as db:
            db.execute("delete from app.subscriptions")


def viewer(role: str) -> Viewer:
    branches = ("BEL", "CEN") if role == "librarian" else ()
    return Viewer(EMAILS[role], role, branches, "a" * 32 if role == "member" else None)  # type: ignore[arg-type]


def ask(client: Client, page: str = "circulation", query: str = "", **more: str) -> httpx.Response:
    """Send the dialog's form."""
    token = TOKEN.search(client.http.get("/overview").text)
    assert token
    data = WEEKLY | more | {"token": token[1], "query": query}
    return client.http.post(f"/subscribe/{page}", data=data)


# Times --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "after", "due"),
    [
        (Times("day", None, 7), "2026-01-10T06:59", "2026-01-10T07:00"),
        (Times("day", None, 7), "2026-01-10T07:00", "2026-01-11T07:00"),
        (Times("day", None, 7), "2026-07-10T06:30", "2026-07-11T06:00"),  # summer time
        (Times("day", None, 1), "2026-03-28T12:00", "2026-03-29T01:00"),  # 01:00 is left out
        (Times("day", None, 1), "2026-10-24T12:00", "2026-10-25T00:00"),  # 01:00 is there twice
        (Times("day", None, 1), "2026-10-25T00:30", "2026-10-26T01:00"),
        (Times("week", 1, 7), "2026-11-22T04:00", "2026-11-23T07:00"),
        (Times("week", 7, 7), "2026-11-22T08:00", "2026-11-29T07:00"),
        (Times("month", 31, 7), "2026-02-01T00:00", "2026-02-28T07:00"),
        (Times("month", 30, 7), "2028-02-01T00:00", "2028-02-29T07:00"),
        (Times("month", 31, 7), "2026-03-31T06:30", "2026-04-30T06:00"),
        (Times("month", 1, 0), "2026-12-31T23:59", "2027-01-01T00:00"),
    ],
)
def test_when_it_falls_due(times: Times, after: str, due: str) -> None:
    found = times.next(at(after))
    assert found == at(due)
    assert times.last(found) == found
    assert times.last(found - dt.timedelta(seconds=1)) <= at(after)


def test_due_times_follow_each_other_without_gap_or_repeat() -> None:
    for times in (Times("day", None, 1), Times("week", 7, 1), Times("month", 29, 2)):
        moment, found = at("2026-01-01T00:00"), []
        for _ in range(60):
            moment = times.next(moment)
            found.append(moment)
        assert found == sorted(set(found))
        assert [times.last(m + dt.timedelta(minutes=1)) for m in found] == found


@pytest.mark.parametrize(
    "asked",
    [{}, {"every": "year", "hour": "7"}, {"every": "week", "weekday": "8", "hour": "7"},
     {"every": "month", "day": "0", "hour": "7"}, {"every": "day", "hour": "24"},
     {"every": "day", "hour": "７"}, {"every": "week", "hour": "7"}],
)  # fmt: skip
def test_times_that_make_no_sense_are_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        subscriptions.times(asked)


def test_filters_are_kept_as_the_address_has_them() -> None:
    kept = subscriptions.choice("?period=30d&branch=CEN&branch=BEL&x%00=1&item_type=a%00b")
    assert kept == {"period": ["30d"], "branch": ["CEN", "BEL"], "item_type": ["ab"]}
    with pytest.raises(ConfigurationError):
        subscriptions.choice("branch=" + "x" * 5000)


# The dialog and the list --------------------------------------------------------------------------


def test_a_person_asks_for_a_report_sees_changes_and_ends_it(
    visitor: Callable[..., Client], here: str
) -> None:
    client = visitor("librarian")
    page = client.http.get("/circulation").text
    assert 'action="/subscribe/circulation"' in page
    assert EMAILS["librarian"] in page
    answer = ask(client, query="period=30d&branch=CEN")
    assert answer.status_code == 200
    assert answer.json()["done"].startswith("Mondays at 07:00, first on Mon, ")
    (one,) = subscriptions.listed(viewer("librarian"))
    assert one.choice == {"period": ["30d"], "branch": ["CEN"]}
    assert one.times == Times("week", 1, 7)
    listed = client.http.get("/account/mails").text
    assert 'href="/circulation?branch=CEN&amp;period=30d"' in listed
    assert "Mondays at 07:00" in listed
    changed = client.submit(
        "/account/mails", "/account/mails/change", number=str(one.number), every="month",
        day="31", hour="6", file="xlsx",
    )  # fmt: skip
    assert changed.status_code == 303
    (two,) = subscriptions.listed(viewer("librarian"))
    assert (two.times, two.files) == (Times("month", 31, 6), ["xlsx"])
    client.submit("/account/mails", "/account/mails/end", number=str(one.number))
    assert subscriptions.listed(viewer("librarian")) == []
    assert "None yet." in client.http.get("/account/mails").text


def test_what_is_asked_for_is_on_record(visitor: Callable[..., Client], here: str) -> None:
    client = visitor("librarian")
    ask(client)
    (one,) = subscriptions.listed(viewer("librarian"))
    client.submit("/account/mails", "/account/mails/end", number=str(one.number))
    with connect() as db:
        rows = db.execute(
            "select who, subject, details ->> 'what' from audit.entries"
            " where act = 'subscription' order by entry_id desc limit 2"
        ).fetchall()
    assert rows == [
        (EMAILS["librarian"], f"subscription {one.number}", "ended"),
        (EMAILS["librarian"], "/circulation", "begun"),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"every": "never"}, "how often"),
        ({"hour": "x"}, "hour"),
        ({"file": "exe"}, "PDF, Excel"),
        ({"query": "a=" + "x" * 3000}, "too long"),
    ],
)
def test_nonsense_is_refused_in_words(
    visitor: Callable[..., Client], here: str, more: dict[str, str], said: str
) -> None:
    answer = ask(visitor("librarian"), **more)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert subscriptions.listed(viewer("librarian")) == []


def test_only_own_pages_and_only_so_many(visitor: Callable[..., Client], here: str) -> None:
    member = visitor("member")
    for page in ("circulation", "my_loans", "people", "nonsense"):
        assert ask(member, page).status_code == 400
    assert ask(member, "overview").status_code == 200
    for _ in range(subscriptions.MOST - 1):
        assert ask(member, "overview").status_code == 200
    assert "already" in ask(member, "overview").json()["error"]


def test_without_the_form_s_token_or_a_sign_in_nothing_begins(
    visitor: Callable[..., Client], here: str
) -> None:
    client = visitor("librarian")
    assert client.http.post("/subscribe/circulation", data=WEEKLY).status_code == 403
    assert client.http.get("/subscribe/circulation").status_code == 302
    stranger = visitor()
    assert stranger.http.post("/subscribe/circulation", data=WEEKLY).status_code == 303
    assert stranger.http.get("/account/mails").status_code == 303
    assert subscriptions.listed(viewer("librarian")) == []


def test_an_admin_sees_all_and_ends_any_but_others_only_their_own(
    visitor: Callable[..., Client], here: str
) -> None:
    ask(visitor("librarian"))
    (one,) = subscriptions.listed(viewer("librarian"))
    member = visitor("member")
    ended = member.submit("/overview", "/account/mails/end", number=str(one.number))
    assert ended.status_code == 303
    assert len(subscriptions.listed(viewer("librarian"))) == 1
    assert subscriptions.listed(viewer("member")) == []
    admin = visitor("admin")
    page = admin.http.get("/account/mails").text
    assert "Those of others" in page
    assert EMAILS["librarian"] in page
    changed = admin.submit(
        "/account/mails", "/account/mails/change", number=str(one.number), **WEEKLY
    )
    assert changed.status_code == 400, "an admin ends, and changes nothing"
    admin.submit("/account/mails", "/account/mails/end", number=str(one.number))
    assert subscriptions.listed(viewer("librarian")) == []


def test_postgres_itself_lets_nobody_touch_those_of_others(here: str) -> None:
    with connect() as db:
        (number,) = db.execute(
            "insert into app.subscriptions (account_id, page, every, at_hour, files, next_due_at)"
            " select account_id, 'overview', 'day', 7, '{pdf}', now() from app.accounts"
            " where email = %s returning subscription_id",
            [EMAILS["admin"]],
        ).fetchone()  # type: ignore[misc]
        db.execute(
            "insert into app.sendings (subscription_id, due_at) values (%s, now())", [number]
        )
    for role in ("librarian", "member"):
        with acting_as(viewer(role), writes=True) as db_:
            for query in (
                "select 1 from app.subscriptions",
                "select 1 from app.sendings",
                "update app.subscriptions set at_hour = 1 returning 1",
                "delete from app.subscriptions returning 1",
            ):
                assert db_.execute(text(query)).all() == []
        for query in (
            "insert into app.subscriptions (account_id, page, every, at_hour, files, next_due_at)"
            " select account_id, 'overview', 'day', 7, '{pdf}', now() from app.subscriptions"
            " union all select 1, 'overview', 'day', 7, '{pdf}', now()",
            "update app.sendings set state = 'waiting'",
            "select app.unsubscribe(1)",
        ):
            with pytest.raises(DBAPIError), acting_as(viewer(role), writes=True) as db_:
                db_.execute(text(query))


def test_without_mail_the_page_says_so(
    here: str, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="Mail is not set up"):
        subscriptions.subscribe(viewer("admin"), "overview", "", Times("day", None, 7), ["pdf"], "")


# The link that ends one ---------------------------------------------------------------------------


@pytest.fixture
def link(visitor: Callable[..., Client], here: str) -> tuple[int, str]:
    ask(visitor("librarian"))
    (one,) = subscriptions.listed(viewer("librarian"))
    return one.number, "/unsubscribe/" + unsubscribing.link(one.number).rpartition("/")[2]


def test_the_mail_program_s_own_button_ends_it(
    link: tuple[int, str], app: Any, visitor: Callable[..., Client]
) -> None:
    path = link[1]
    seen = httpx.get(app.base + path)
    assert "Circulation" in seen.text
    assert subscriptions.listed(viewer("librarian")), "opening it ends nothing"
    done = httpx.post(app.base + path, data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    assert "mailed no more" in done.text
    assert subscriptions.listed(viewer("librarian")) == []
    again = httpx.post(app.base + path, data={"List-Unsubscribe": "One-Click"})
    assert again.status_code == 200


@pytest.mark.parametrize("wrong", ["", "1", "form", "other number", "cut"])
def test_a_made_up_link_ends_nothing(link: tuple[int, str], app: Any, wrong: str) -> None:
    number, path = link
    signed = path.rpartition("/")[2]
    texts = {
        "": f"{number}.", "1": f"{number}", "form": sessions.sealed("session", str(number)),
        "other number": f"{number + 1}.{signed.partition('.')[2]}", "cut": signed[:-1],
    }  # fmt: skip
    answer = httpx.post(f"{app.base}/unsubscribe/{texts[wrong]}")
    assert answer.status_code == 404
    assert len(subscriptions.listed(viewer("librarian"))) == 1


def test_the_link_s_token_opens_no_other_door(link: tuple[int, str], app: Any) -> None:
    token = link[1].rpartition("/")[2]
    cookies = {"carrel_session": token}
    assert httpx.get(f"{app.base}/account", cookies=cookies).status_code == 303


def test_a_choice_is_bounded_in_the_database(here: str) -> None:
    with connect() as db, pytest.raises(Exception, match="choice_is_short"):
        db.execute(
            "insert into app.subscriptions"
            " (account_id, page, choice, every, at_hour, files, next_due_at)"
            " select account_id, 'overview', %s, 'day', 7, '{pdf}', now() from app.accounts"
            " limit 1",
            [json.dumps({"a": ["x" * 5000]})],
        )
