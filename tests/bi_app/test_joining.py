"""Registering and resetting by links, and that no answer tells who has an account."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bi_app.auth import people, tokens
from bi_app.auth.accounts import check_password
from bi_app.auth.tokens import Bearer
from deployments import letters
from tests.bi_app.client import Client
from tests.bi_app.fix_app import EMAILS, PASSWORD
from tests.bi_app.test_people import ADMIN, execute, links_of
from tests.bi_app.test_second_factor import number_of
from tests.tasks.fix_smtp import Post, post
from warehouse.pseudonyms import pseudonym

__all__ = ["post"]
Guest = Callable[..., Client]
NEW = "three green lamp shades"
STRANGER = "new@desk.example"


@pytest.fixture
def mailed(
    post: Post, guest: Guest, doors: str, here: str, setting: Callable[..., None]
) -> Callable[[], str]:
    """Sends what is due and returns the path of the newest link. Registration is on."""
    setting(registration="mail", app_url=doors, database=here)

    def newest() -> str:
        letters.send_due()
        return links_of(post)[-1].removeprefix(doors)

    return newest


@pytest.fixture(autouse=True)
def clean(here: str) -> None:
    execute("delete from app.letters")
    execute("delete from app.tokens")
    execute("delete from app.accounts where email = %s", STRANGER)


def follow(client: Client, link: str) -> str:
    """Open a link as a browser does; the text of the page that it leads to."""
    answer = client.http.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/choose-password")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    page = client.http.get("/choose-password")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert link.rpartition("/")[2] not in page.text
    return page.text


def test_register_confirm_sign_in(guest: Guest, mailed: Callable[[], str], post: Post) -> None:
    client = guest()
    answer = client.submit("/register", email=STRANGER, name="New Reader", number=" c77 ")
    assert "on its way" in answer.text
    assert execute("select 1 from app.accounts where email = %s", STRANGER) == []
    other = guest()  # the link may be opened on another machine
    assert STRANGER in follow(other, mailed())
    assert post.to == [STRANGER]
    assert other.submit("/choose-password", password=NEW, again=NEW + ".").status_code == 400
    # pragma: allowlist nextline secret
    assert other.submit("/choose-password", password="short", again="short").status_code == 400
    done = other.submit("/choose-password", password=NEW, again=NEW)
    assert done.headers["location"] == "/sign-in?done=password"
    assert other.sign_in(STRANGER, NEW).status_code == 303
    person = people.find_account(ADMIN, STRANGER)
    assert (person.role, person.name, person.state) == ("member", "New Reader", "active")
    assert person.member_key is None  # a stated number links nothing
    assert person.states_known_member is False
    people.link_stated(ADMIN, person.account_id)
    assert people.find_account(ADMIN, STRANGER).member_key == pseudonym("C77")


def test_a_link_is_good_once(guest: Guest, mailed: Callable[[], str]) -> None:
    guest().submit("/register", email=STRANGER, name="New")
    link = mailed()
    first, second = guest(), guest()
    follow(first, link)
    follow(second, link)  # looking does not use it up: some mail programs look
    assert first.submit("/choose-password", password=NEW, again=NEW).status_code == 303
    assert second.submit("/choose-password", password=NEW, again=NEW).status_code == 410
    third = guest()
    third.http.get(link)
    assert third.http.get("/choose-password").status_code == 410


@pytest.mark.parametrize("link", ["/link/x", "/link/" + "a" * 150, "/link/%00", "/link/..%2f"])
def test_a_link_that_was_made_up_leads_nowhere(guest: Guest, link: str) -> None:
    client = guest()
    assert client.http.get(link).status_code == 303
    assert client.http.get("/choose-password").status_code == 410


def test_reset_signs_out_everywhere_and_the_old_password_is_over(
    guest: Guest, mailed: Callable[[], str], post: Post, ann: str
) -> None:
    before = guest()
    assert before.sign_in(ann, PASSWORD).status_code == 303
    client = guest()
    client.submit("/forgot", email=ann.upper())
    first = mailed()
    client.submit("/forgot", email=ann)
    second = mailed()
    follow(client, second)
    assert client.submit("/choose-password", password=NEW, again=NEW).status_code == 303
    assert before.http.get("/account").status_code == 303
    assert check_password(ann, PASSWORD) is None
    assert client.sign_in(ann, NEW).status_code == 303
    assert tokens.look(first.rpartition("/")[2], "reset") is None  # no older link is left
    letters.send_due()
    assert "was changed" in post.mails()[-1].get_content()


def test_the_answer_is_the_same_whoever_asks_for_whom(
    guest: Guest, mailed: Callable[[], str], post: Post, ann: str
) -> None:
    execute(
        "insert into app.accounts (email, name, role, disabled_at)"
        " values ('off@desk.example', 'Off', 'member', now()) on conflict do nothing"
    )
    everybody = (ann, STRANGER, "off@desk.example", EMAILS["member"])
    for page in ("/forgot", "/register"):
        answers, lines = set(), set()
        for n, email in enumerate(everybody):
            execute("delete from app.letters")
            answer = guest(f"192.0.2.{n}").submit(page, email=email, name="X")
            answers.add((answer.status_code, answer.text))
            asked = execute("select kind, name from app.letters")
            lines.add(tuple(asked))  # the same work, too: one line for everybody
        assert len(answers) == len(lines) == 1, page
    execute("delete from app.letters")
    for email in everybody:
        guest("192.0.2.77").submit("/forgot", email=email)
    letters.send_due()
    assert len(post.mails()) == 2  # Ann and the member; nobody else is written to


def test_who_has_an_account_is_told_by_mail_alone(
    guest: Guest, mailed: Callable[[], str], post: Post, ann: str
) -> None:
    guest().submit("/register", email=ann, name="Somebody else")
    letters.send_due()
    (mail,) = post.mails()
    assert "You have one already" in mail.get_content()
    assert links_of(post) == []


def test_an_admin_approves_who_registers(
    guest: Guest,
    mailed: Callable[[], str],
    post: Post,
    setting: Callable[..., None],
) -> None:
    setting(registration="approval")
    answer = guest().submit("/register", email=STRANGER, name="New", number="c78")
    assert "administrator" in answer.text
    letters.send_due()
    assert post.mails() == []
    waiting = people.find_account(ADMIN, STRANGER)
    assert waiting.state == "waiting"
    client = guest()
    client.submit("/forgot", email=STRANGER)
    letters.send_due()
    assert post.mails() == []  # asking for a new password is no way around the admin
    people.approve(ADMIN, waiting.account_id, link_stated_member=True)
    follow(client, mailed())
    assert client.submit("/choose-password", password=NEW, again=NEW).status_code == 303
    assert client.sign_in(STRANGER, NEW).status_code == 303
    assert people.find_account(ADMIN, STRANGER).member_key == pseudonym("C78")


def test_a_number_that_another_account_holds_is_not_given_away(
    guest: Guest, mailed: Callable[[], str], setting: Callable[..., None], ann: str
) -> None:
    setting(registration="approval")
    people.link_member(ADMIN, number_of(ann), "C79")
    guest().submit("/register", email=STRANGER, name="Thief", number="C79")
    letters.send_due()
    thief = people.find_account(ADMIN, STRANGER).account_id
    with pytest.raises(Exception, match="another account"):
        people.approve(ADMIN, thief, link_stated_member=True)
    assert people.person(ADMIN, thief).state == "waiting"


def test_registration_is_off_unless_it_is_switched_on(guest: Guest) -> None:
    client = guest()
    assert "ask for an invitation" in client.http.get("/register").text
    client.http.get("/sign-in")
    client.http.post("/register", data={"email": STRANGER, "name": "X"})
    assert execute("select 1 from app.letters") == []
    assert "/register" not in client.http.get("/sign-in").text
    assert "administrator can give you a link" in client.http.get("/forgot").text


def test_nobody_is_flooded_with_mail(guest: Guest, mailed: Callable[[], str], ann: str) -> None:
    codes = [guest().submit("/forgot", email=f"u{n}@x.example").status_code for n in range(12)]
    assert codes == [200] * 10 + [429] * 2
    execute("delete from app.letters")
    for n in range(6):
        assert guest(f"198.51.100.{n}").submit("/forgot", email=ann).status_code == 200
    assert execute("select count(*) from app.letters") == [(3,)]


@pytest.mark.parametrize("page", ["/forgot", "/register", "/choose-password"])
def test_a_form_of_another_site_is_refused(
    guest: Guest, mailed: Callable[[], str], page: str
) -> None:
    client = guest()
    token = tokens.make(Bearer("join", None, STRANGER, "New"))
    client.http.get(f"/link/{token}")
    fields = {"email": STRANGER, "name": "X", "password": NEW, "again": NEW}
    assert client.http.post(page, data=fields).status_code == 403
    client.http.get("/sign-in")
    assert client.http.post(page, data=fields | {"token": "0" * 64}).status_code == 403
    assert execute("select 1 from app.letters") == []
    assert tokens.look(token, "join") is not None


@pytest.mark.parametrize(
    "email",
    [
        "",
        "x",
        "a@b@c",
        "a b@c.d",
        "a@b\r\nBcc: c@d.e",
        "a@" + "b" * 300,
        "a,b@c.d",
        "<a>b@c.d",
        "ann@des\u212a.example",
        "lib\u0130@desk.example",
    ],
)
def test_what_is_no_address_is_said(guest: Guest, mailed: Callable[[], str], email: str) -> None:
    answer = guest().submit("/register", email=email, name="X")
    assert (answer.status_code, "no e-mail address" in answer.text) == (400, True)


def test_a_name_cannot_write_into_the_page_or_the_mail(
    guest: Guest, mailed: Callable[[], str], post: Post
) -> None:
    name = "<script>alert(1)</script>\r\nBcc: evil@x.example"
    guest().submit("/register", email=STRANGER, name=name)
    client = guest()
    follow(client, mailed())
    assert post.to == [STRANGER]
    assert post.mails()[0]["Bcc"] is None
    client.submit("/choose-password", password=NEW, again=NEW)
    client.sign_in(STRANGER, NEW)
    assert "<script>alert" not in client.http.get("/account").text


def test_who_signs_in_elsewhere_gets_no_password_by_mail(
    guest: Guest, mailed: Callable[[], str], post: Post, ann: str
) -> None:
    execute("update app.accounts set password_hash = null where email = %s", ann)
    execute("insert into app.identities values ('https://idp.example', 's', %s)", number_of(ann))
    guest().submit("/forgot", email=ann)
    letters.send_due()
    assert links_of(post) == []
    assert "keeps no password" in re.sub(r"\s+", " ", post.mails()[0].get_content())


def test_a_link_goes_to_the_address_that_the_account_has(
    guest: Guest, mailed: Callable[[], str], post: Post, ann: str
) -> None:
    guest().submit("/forgot", email=ann.upper())
    mailed()
    assert post.to == [ann]
