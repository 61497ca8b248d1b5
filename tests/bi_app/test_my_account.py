"""The page of one's own account, and that strangers cannot lock anybody out."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed

from bi_app import words
from bi_app.auth import people, sessions
from bi_app.auth.accounts import check_password
from bi_app.auth.my_account import device_name
from tests.bi_app.client import Client, Socket
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served
from tests.bi_app.test_people import ADMIN, execute
from tests.bi_app.test_second_factor import code_at, number_of, switched_on

Guest = Callable[..., Client]
NEW = "three green lamp shades"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def signed_in(guest: Guest, ann: str) -> Callable[[], Client]:
    def sign_in() -> Client:
        client = guest()
        assert client.sign_in(ann, PASSWORD).status_code == 303
        return client

    return sign_in


def ids(client: Client) -> list[str]:
    return re.findall(r'name="session" value="([0-9a-f-]{36})"', client.http.get("/account").text)


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
         "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("python-httpx/0.28", "Another program"),
        (None, "Another program"),
    ],
)  # fmt: skip
def test_a_device_has_a_name(client: str | None, name: str) -> None:
    assert device_name(client) == name


def test_strangers_are_sent_to_the_form(guest: Guest) -> None:
    for page in ("/account", "/account/second-factor"):
        assert guest().http.get(page).headers["location"].startswith("/sign-in")
    answer = guest().http.post("/account/sign-out-everywhere", data={"token": "x"})
    assert answer.headers["location"].startswith("/sign-in")


ACTS = (
    "name",
    "password",
    "email",
    "email-stop",
    "end-session",
    "sign-out-everywhere",
    "factor-off",
    "new-codes",
)


@pytest.mark.parametrize("act", [*ACTS, "second-factor"])
def test_a_form_of_another_site_changes_nothing(signed_in: Callable[[], Client], act: str) -> None:
    client, other = signed_in(), signed_in()
    foreign = re.search(r'name="token" value="([^"]+)"', other.http.get("/account").text)
    assert foreign
    for token in ("", "0" * 64, foreign[1]):
        data = {"token": token, "name": "Evil", "current": PASSWORD, "password": NEW, "again": NEW}
        assert client.http.post(f"/account/{act}", data=data).status_code == 403
        assert client.http.get(f"/account/{act}").status_code in (200, 302)  # nor does a link
    assert len(ids(client)) == 2
    assert "Evil" not in client.http.get("/account").text


def test_the_name_is_changed(signed_in: Callable[[], Client]) -> None:
    client = signed_in()
    assert client.submit("/account", "/account/name", name=" Ann  von <b>Desk ").status_code == 303
    assert "Ann von &lt;b&gt;Desk" in client.http.get("/account").text
    for wrong in ("", "   ", "x" * 101, "a\u200bb"):
        answer = client.submit("/account", "/account/name", name=wrong)
        assert (answer.status_code, "1 to 100 characters" in answer.text) == (400, True)


def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(
    signed_in: Callable[[], Client], guest: Guest, ann: str
) -> None:
    client, other = signed_in(), signed_in()
    old = client.http.cookies["carrel_session"]
    wanted = {"password": NEW, "again": NEW}
    for fields, said in (
        ({"current": "wrong one", **wanted}, "current password is not right"),
        ({"current": PASSWORD, "password": NEW, "again": "x"}, "not the same"),
        # pragma: allowlist nextline secret
        ({"current": PASSWORD, "password": "password1234", "again": "password1234"}, "others try"),
    ):
        answer = client.submit("/account", "/account/password", **fields)
        assert (answer.status_code, said in answer.text) == (400, True)
    assert check_password(ann, PASSWORD)
    done = client.submit("/account", "/account/password", current=PASSWORD, **wanted)
    assert done.headers["location"] == "/account?done=password"
    assert client.http.cookies["carrel_session"] != old
    assert sessions.find(old.strip('"')) is None
    assert client.http.get("/account").status_code == 200
    assert other.http.get("/account").status_code == 303
    assert check_password(ann, NEW)
    assert guest().sign_in(ann, PASSWORD).status_code == 401


def test_own_sessions_are_listed_and_ended_and_nobody_elses(
    signed_in: Callable[[], Client], guest: Guest
) -> None:
    client, other, stranger = signed_in(), signed_in(), guest()
    stranger.sign_in(EMAILS["member"], PASSWORD)
    page = client.http.get("/account").text
    assert page.count("this one") == 1
    assert "192.0.2.1" in page
    foreign = ids(stranger)[0]
    assert foreign not in ids(client)
    client.submit("/account", "/account/end-session", session=foreign)
    assert stranger.http.get("/account").status_code == 200
    here = re.search(r"this one.*?value=\"([0-9a-f-]{36})\"", page, re.S)
    assert here
    (elsewhere,) = set(ids(client)) - {here[1]}
    client.submit("/account", "/account/end-session", session=elsewhere)
    assert other.http.get("/account").status_code == 303
    assert client.submit("/account", "/account/end-session", session="x").status_code == 400
    answer = client.submit("/account", "/account/end-session", session=here[1])
    assert answer.headers["location"] == "/sign-in"
    assert client.http.get("/account").status_code == 303


def test_sign_out_everywhere(signed_in: Callable[[], Client]) -> None:
    client, other = signed_in(), signed_in()
    answer = client.submit("/account", "/account/sign-out-everywhere")
    assert answer.headers["location"] == "/sign-in?done=everywhere"
    assert "signed out everywhere" in client.http.get("/sign-in?done=everywhere").text
    for one in (client, other):
        assert one.http.get("/account").status_code == 303


def test_the_second_factor_is_switched_on_and_off(
    signed_in: Callable[[], Client], ann: str
) -> None:
    client, other = signed_in(), signed_in()
    page = client.http.get("/account/second-factor").text
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert found
    secret = found[1].replace(" ", "")
    where = "/account/second-factor"
    assert client.submit(where, current="wrong one", code=code_at(secret)).status_code == 400
    assert client.submit(where, current=PASSWORD, code="1").status_code == 400
    before = client.http.cookies["carrel_session"]
    done = client.submit(where, current=PASSWORD, code=code_at(secret))
    assert len(re.findall(r"<li><code>", done.text)) == 10
    assert client.http.cookies["carrel_session"] != before
    assert other.http.get("/account").status_code == 303  # a change of proof signs out elsewhere
    assert client.http.get(where).status_code == 303
    assert "10 of 10 recovery codes" in client.http.get("/account").text
    codes = client.submit("/account", "/account/new-codes", current=PASSWORD)
    assert len(re.findall(r"<li><code>", codes.text)) == 10
    assert client.submit("/account", "/account/factor-off", current="wrong").status_code == 400
    assert client.submit("/account", "/account/factor-off", current=PASSWORD).status_code == 303
    assert "Set it up" in client.http.get("/account").text


def test_who_has_no_password_proves_it_by_a_recent_sign_in(
    signed_in: Callable[[], Client], ann: str
) -> None:
    client = signed_in()
    switched_on(ann)
    execute("update app.accounts set password_hash = null where email = %s", ann)
    assert "keeps no password" in client.http.get("/account").text
    assert client.submit("/account", "/account/password", password=NEW).status_code == 400
    execute("update app.sessions set started_at = now() - interval '11 minutes'"
            " where account_id = %s", number_of(ann))  # fmt: skip
    assert client.submit("/account", "/account/factor-off").status_code == 400
    execute("update app.sessions set started_at = now() where account_id = %s", number_of(ann))
    assert client.submit("/account", "/account/factor-off").status_code == 303


# Lock-out -----------------------------------------------------------------------------------------


def fail(client: Client, email: str, times: int) -> list[int]:
    return [client.sign_in(email, "wrong password").status_code for _ in range(times)]


def test_a_stranger_at_the_same_address_cannot_lock_the_owner_out(
    guest: Guest, signed_in: Callable[[], Client], ann: str
) -> None:
    owner = signed_in()
    owner.sign_out("/account")
    stranger = guest()  # the same address: the library's own
    assert fail(stranger, ann, 8) == [401] * 5 + [429] * 3
    assert owner.sign_in(ann, PASSWORD).status_code == 303
    assert stranger.sign_in(ann, PASSWORD).status_code == 429  # not forgiven by it


def test_strangers_from_everywhere_cannot_either(
    guest: Guest, signed_in: Callable[[], Client], ann: str
) -> None:
    owner = signed_in()
    owner.sign_out("/account")
    codes = [fail(guest(f"198.51.100.{n}"), ann, 1)[0] for n in range(25)]
    assert codes == [401] * 20 + [429] * 5  # guessing from many places is slowed down as well
    assert guest("203.0.113.9").sign_in(ann, PASSWORD).status_code == 429
    assert owner.sign_in(ann, PASSWORD).status_code == 303


def test_a_known_device_guesses_no_more_than_others_and_for_its_account_alone(
    guest: Guest, signed_in: Callable[[], Client], ann: str
) -> None:
    thief = signed_in()
    thief.sign_out("/account")
    assert fail(thief, ann, 7) == [401] * 5 + [429] * 2
    assert fail(guest(), ann, 1) == [401]  # its failures slow nobody else down
    other = EMAILS["librarian"]
    assert sessions.device_of(thief.http.cookies["carrel_device"].strip('"'), other) is None
    assert sessions.device_of(thief.http.cookies["carrel_device"].strip('"'), ann)
    assert sessions.device_of("made up", ann) is None


def test_an_unknown_e_mail_is_slowed_down_the_same(guest: Guest, ann: str) -> None:
    known, unknown = guest("192.0.2.50"), guest("192.0.2.51")
    assert fail(known, ann, 7) == fail(unknown, "nobody@desk.example", 7)


def test_guessing_the_current_password_in_a_stolen_session_is_slowed_down(
    signed_in: Callable[[], Client],
) -> None:
    client = signed_in()
    said = [
        client.submit("/account", "/account/password", current="wrong", password=NEW, again=NEW)
        for _ in range(7)
    ]
    assert ["not right" in a.text for a in said] == [True] * 5 + [False] * 2
    assert "Too many attempts" in said[-1].text


# Open pages ---------------------------------------------------------------------------------------


def hear_until_closed(socket: Socket) -> None:
    while True:
        socket.receive(15)


@pytest.mark.parametrize("how", ["disable", "end_all_sessions"])
def test_disabling_an_account_closes_its_open_pages_at_once(
    app: Served, here: str, ann: str, how: str
) -> None:
    client = Client(app.base)
    client.sign_in(ann, PASSWORD)
    assert 'href="/account"' in client.http.get("/overview").text
    socket = client.socket("/overview")
    socket.pull()
    began = time.monotonic()
    getattr(people, how)(ADMIN, number_of(ann))
    assert client.http.get("/overview").status_code == 302
    with pytest.raises(ConnectionClosed, match="4401"):
        hear_until_closed(socket)
    assert time.monotonic() - began < 10  # on a busy machine; it looks every two seconds
    client.close()


def test_the_times_of_a_session_are_told(signed_in: Callable[[], Client]) -> None:
    page = signed_in().http.get("/account").text
    assert words.month(dt.datetime.now(dt.UTC)) in page
    assert "with password" in page
