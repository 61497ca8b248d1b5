"""Another e-mail address: proved by the new one, stopped by the old one, told to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from bi_app.auth import callers, new_address, people, sessions
from bi_app.auth.accounts import check_password, choose_password
from deployments import letters
from tests.bi_app.client import Client
from tests.bi_app.fix_app import EMAILS, PASSWORD
from tests.bi_app.test_people import ADMIN, execute
from tests.bi_app.test_second_factor import code_at, number_of, switched_on
from tests.tasks.fix_smtp import Post, post
from warehouse.access import Viewer, acting_as

__all__ = ["post"]
Guest = Callable[..., Client]
Mailed = Callable[[str], str]
NEW = "ann.new@desk.example"
LATER = "ann.later@desk.example"


@pytest.fixture
def mailed(
    post: Post, doors: str, here: str, ann: str, setting: Callable[..., None]
) -> Iterator[Mailed]:
    """Sends what is due; the path of the newest link to an address."""
    setting(app_url=doors, database=here)
    execute("delete from app.letters")
    execute("delete from app.email_changes")

    def newest(to: str) -> str:
        letters.send_due()
        texts = [m.get_content() for m in post.mails() if m["to"] == to]
        links = [w for t in texts for w in t.split() if "/address/" in w]
        return links[-1].removeprefix(doors)

    yield newest
    execute("delete from app.accounts where email = any(%s)", [NEW, LATER])


@pytest.fixture
def client(guest: Guest, mailed: Mailed, ann: str) -> Client:
    made = guest()
    assert made.sign_in(ann, PASSWORD).status_code == 303
    return made


def ask(client: Client, new: str = NEW, current: str = PASSWORD, **more: str) -> str:
    """Ask for another address; where the answer leads, or what it says."""
    answer = client.submit("/account", "/account/email", email=new, current=current, **more)
    return answer.headers.get("location", answer.text)


def opened(client: Client, link: str) -> str:
    """Open a link as a browser does; the text of the page that it leads to."""
    answer = client.http.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/address")
    assert answer.headers["referrer-policy"] == "no-referrer"
    page = client.http.get("/address")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert link.rpartition("/")[2] not in page.text
    return page.text


def test_the_new_address_confirms_and_everybody_is_signed_out(
    client: Client, guest: Guest, mailed: Mailed, ann: str, post: Post
) -> None:
    number = number_of(ann)
    reset = people.tokens.make(people.Bearer("reset", number, ann, "Ann"))
    key, _ = callers.make_key(number, "job", ["read"], 5)
    assert ask(client) == "/account?done=email"
    page = client.http.get("/account").text
    assert f"{NEW} has not confirmed yet" in page
    link = mailed(NEW)
    assert sorted(m["to"] for m in post.mails()) == sorted([NEW, ann])
    other = guest("192.0.2.9")
    for _ in range(2):  # some mail programs open links: that does nothing
        assert NEW in opened(other, link)
    assert check_password(ann, PASSWORD)
    done = other.submit("/address")
    assert done.headers["location"] == "/sign-in?done=address"
    assert number_of(NEW) == number
    assert client.http.get("/account").status_code == 303
    assert guest().sign_in(ann, PASSWORD).status_code == 401
    assert guest().sign_in(NEW, PASSWORD).status_code == 303
    assert people.tokens.look(reset, "reset") is None, "a link in the old mailbox is worth nothing"
    assert callers.find(key), "programs go on"
    assert other.submit("/address").status_code == 410
    assert opened(other, link).count("over")


def test_it_is_not_done_without_password_code_or_address(
    client: Client, guest: Guest, ann: str
) -> None:
    for fields, said in (
        ({"current": "wrong one"}, "current password is not right"),
        ({"new": "no address"}, "no e-mail address"),
        ({"new": ann.upper()}, "your address already"),
    ):
        assert said in ask(client, **fields)
    _, secret, codes = switched_on(ann)
    for code in ("", "000000"):
        assert "code is not right" in ask(client, code=code)
    assert execute("select count(*) from app.email_changes where old_email = %s", ann) == [(0,)]
    assert ask(client, code=code_at(secret)) == "/account?done=email"
    assert ask(client, LATER, code=codes[0]) == "/account?done=email"


def test_wrong_codes_are_slowed_down(client: Client, ann: str) -> None:
    switched_on(ann)
    said = [ask(client, code="000000") for _ in range(7)]
    assert "Too many attempts" in said[-1]


def test_no_answer_tells_whether_the_new_address_has_an_account(
    client: Client, mailed: Mailed, ann: str, post: Post
) -> None:
    taken = EMAILS["librarian"]
    execute("delete from app.email_changes")
    assert ask(client, taken) == ask(client, NEW) == "/account?done=email"
    pages = []
    for address in (taken, NEW):
        execute("delete from app.email_changes")
        ask(client, address)
        letters.send_due()
        pages.append(client.http.get("/account").text.replace(address, "X"))
        for minutes, waits in ((25, True), (31, True), (25 * 60, False)):
            execute("update app.email_changes set asked_at = now() - make_interval(mins => %s)",
                    minutes)  # fmt: skip
            assert ("has not confirmed" in client.http.get("/account").text) is waits
    assert pages[0] == pages[1]
    (said,) = {m.get_content() for m in post.mails() if m["to"] == taken}
    assert "nothing was changed" in said
    assert "/address/" not in said
    assert execute("select confirm_sha256 from app.email_changes where new_email = %s", taken) in (
        [],
        [(None,)],
    )


def test_an_address_that_another_account_got_meanwhile_is_not_taken(
    client: Client, guest: Guest, mailed: Mailed, ann: str
) -> None:
    ask(client)
    link = mailed(NEW)
    people.invite(ADMIN, NEW.upper(), "Somebody else", "member")
    try:
        opened(client, link)
        assert client.submit("/address").status_code == 410
        assert check_password(ann, PASSWORD)
    finally:
        execute("delete from app.accounts where lower(email) = %s", NEW)


@pytest.mark.parametrize("confirmed", [False, True])
def test_the_old_address_objects(
    client: Client, guest: Guest, mailed: Mailed, ann: str, confirmed: bool
) -> None:
    """Before it took effect or after: the address is the old one, and nothing stolen is good."""
    number = number_of(ann)
    key, _ = callers.make_key(number, "stolen", ["read"], 5)
    ask(client)
    confirm, stop = mailed(NEW), mailed(ann)
    if confirmed:
        opened(client, confirm)
        client.submit("/address")
        thief = guest()
        thief.sign_in(NEW, PASSWORD)
        choose_password(number, "another lamp of mine", end_keys=False)  # the thief's own
        thief.sign_in(NEW, "another lamp of mine")
        assert ask(thief, LATER, "another lamp of mine") == "/account?done=email"
        opened(thief, mailed(LATER))
        assert thief.submit("/address").status_code == 303
        assert number_of(LATER) == number
    owner = guest("192.0.2.77")
    assert ann in opened(owner, stop)
    assert "It is stopped" in owner.submit("/address").text
    assert number_of(ann) == number
    assert client.http.get("/account").status_code == 303
    assert callers.find(key) is None
    for address in (ann, NEW, LATER):
        for password in (PASSWORD, "another lamp of mine"):
            assert check_password(address, password) is None
    assert opened(owner, stop).count("over")
    assert opened(owner, confirm).count("over")
    choose_password(number, PASSWORD)  # by the link of /forgot, to the old address
    owner.sign_in(ann, PASSWORD)
    assert "objected" in ask(owner, LATER)
    execute("update app.email_changes set objected_at = now() - interval '8 days'")
    assert ask(owner, LATER) == "/account?done=email"
    with acting_as(Viewer(ann, "admin")) as connection:
        found = connection.execute(text("select address from app.own_addresses order by since"))
        known = found.scalars().all()
    assert known == ([ann, NEW, LATER, ann] if confirmed else [ann])


def test_links_expire_and_a_new_password_ends_the_confirming_one_alone(
    client: Client, mailed: Mailed, ann: str
) -> None:
    ask(client)
    confirm, stop = mailed(NEW), mailed(ann)
    assert new_address.look(confirm.rpartition("/")[2])
    choose_password(number_of(ann), PASSWORD)
    assert new_address.look(confirm.rpartition("/")[2]) is None
    assert new_address.look(stop.rpartition("/")[2]), "a thief's new password does not end it"
    for column in ("confirm_until", "object_until"):
        execute(f"update app.email_changes set given_up_at = null, {column} = now()")
    for link in (confirm, stop):
        assert new_address.look(link.rpartition("/")[2]) is None
        assert new_address.confirm(link.rpartition("/")[2]) is None
        assert new_address.refuse(link.rpartition("/")[2]) is None


def test_a_link_is_good_for_its_own_purpose(client: Client, mailed: Mailed, ann: str) -> None:
    ask(client)
    confirm, stop = (mailed(to).rpartition("/")[2] for to in (NEW, ann))
    assert new_address.confirm(stop) is None
    assert new_address.refuse(confirm) is None
    assert people.tokens.look(confirm, "join", "reset", "second") is None


def test_one_change_waits_at_a_time_and_can_be_given_up(
    client: Client, mailed: Mailed, ann: str
) -> None:
    ask(client)
    first = mailed(NEW).rpartition("/")[2]
    assert client.submit("/account", "/account/email-stop").headers["location"].endswith("stopped")
    assert new_address.look(first) is None
    assert "has not confirmed" not in client.http.get("/account").text
    ask(client, LATER)
    second = mailed(LATER).rpartition("/")[2]
    assert new_address.look(second)
    ask(client, NEW)
    assert new_address.look(second) is None
    assert "several times" in ask(client, LATER)


def test_an_address_is_not_flooded_with_mails(client: Client, mailed: Mailed, post: Post) -> None:
    for _ in range(2):
        for _ in range(3):
            ask(client)
            letters.send_due()
        execute("update app.email_changes set account_id = %s", number_of(EMAILS["member"]))
    assert [m["to"] for m in post.mails()].count(NEW) == new_address.MOST_ASKED
    execute("delete from app.email_changes")


def test_who_signs_in_elsewhere_or_without_mail_cannot(
    client: Client, ann: str, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute("insert into app.identities (issuer, subject, account_id) values ('x', 'y', %s)",
            number_of(ann))  # fmt: skip
    assert 'action="/account/email"' not in client.http.get("/account").text
    assert "which says what your address is" in ask(client)
    execute("delete from app.identities")
    monkeypatch.delenv("CARREL_SMTP_HOST")
    setting(smtp_port=25)
    assert "needs mail" in ask(client)
    assert execute("select count(*) from app.email_changes where old_email = %s", ann) == [(0,)]


def test_own_acts_stay_the_own_ones_and_no_others(
    client: Client, guest: Guest, mailed: Mailed, ann: str
) -> None:
    """The acts of the address that somebody else has now are not shown to who had it before."""
    number = number_of(ann)
    ask(client)
    opened(client, mailed(NEW))
    client.submit("/address")
    guest().sign_in(NEW, PASSWORD)
    people.invite(ADMIN, ann, "The next Ann", "admin")
    try:
        sessions.note(ann, "203.0.113.5", "refused")
        seen = {}
        for address in (NEW, ann):
            with acting_as(Viewer(address, "admin")) as connection:
                found = connection.execute(text("select email, address from app.my_sign_ins")).all()
            seen[address] = {tuple(row) for row in found}
        assert (ann, "192.0.2.1") in seen[NEW]
        assert (NEW, "192.0.2.1") in seen[NEW]
        assert (ann, "203.0.113.5") not in seen[NEW]
        assert seen[ann] == {(ann, "203.0.113.5")}
    finally:
        execute("delete from app.accounts where email = %s and account_id <> %s", ann, number)


def test_what_was_not_done_is_forgotten(client: Client, mailed: Mailed, ann: str) -> None:
    ask(client)
    execute("update app.email_changes set asked_at = now() - interval '181 days'")
    letters.tidy()
    assert execute("select count(*) from app.email_changes where old_email = %s", ann) == [(0,)]
