"""What an admin does with accounts, and that nobody else can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bi_app.auth import callers, people, sessions, tokens
from bi_app.auth.accounts import (
    check_password,
    choose_password,
    create_account,
    set_password,
)
from deployments import letters
from tests.bi_app.fix_app import EMAILS, MEMBER, PASSWORD, account_with_password
from tests.tasks.fix_smtp import Post, post
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.pseudonyms import pseudonym

__all__ = ["post"]
ADMIN = Viewer(EMAILS["admin"], "admin")
LIBRARIAN = Viewer(EMAILS["librarian"], "librarian", ("CEN",))
pytestmark = pytest.mark.usefixtures("here")


def execute(statement: str, *values: object) -> list[Any]:
    with connect() as db:
        cursor = db.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def somebody(request: pytest.FixtureRequest) -> Iterator[people.Person]:
    """A librarian who is signed in once."""
    email = f"{abs(hash(request.node.name))}@carrel.example"
    account_with_password(email, "Some Body", "librarian", ["CEN"])
    yield people.find_account(ADMIN, email.upper())
    execute("delete from app.accounts where email = %s", email)


def signed_in(email: str) -> tuple[str, sessions.SignedIn]:
    account = check_password(email, PASSWORD)
    assert account is not None
    cookie = sessions.start(account, address="::1", client="test")
    found = sessions.find(cookie)
    assert found is not None
    return cookie, found


ACTS: dict[str, Callable[[Viewer, int], object]] = {
    "list_accounts": lambda by, _: people.list_accounts(by),
    "list_sessions": people.list_sessions,
    "list_sign_ins": lambda by, _: people.list_sign_ins(by, failed=False),
    "invite": lambda by, _: people.invite(by, "evil@carrel.example", "", "admin"),
    "disable": people.disable,
    "enable": people.enable,
    "set_role": lambda by, n: people.set_role(by, n, "admin"),
    "set_branches": lambda by, n: people.set_branches(by, n, ["CEN", "BEL"]),
    "link_member": lambda by, n: people.link_member(by, n, "1"),
    "change": lambda by, n: people.change(by, n, "admin", ["BEL"], True),
    "end_all_sessions": people.end_all_sessions,
    "link_stated": people.link_stated,
    "send_reset": people.send_reset,
    "remove_second_factor": people.remove_second_factor,
    "approve": people.approve,
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    "by", [LIBRARIAN, Viewer(EMAILS["member"], "member", (), MEMBER)], ids=lambda v: v.role
)
def test_nobody_else_can(by: Viewer, act: str, somebody: people.Person) -> None:
    signed_in(somebody.email)
    before = people.person(ADMIN, somebody.account_id)
    with pytest.raises(ConfigurationError, match="Only an admin"):
        ACTS[act](by, somebody.account_id)
    assert people.person(ADMIN, somebody.account_id) == before
    assert not execute("select 1 from app.accounts where email = 'evil@carrel.example'")


def test_a_person_is_shown_with_state_and_sessions(somebody: people.Person) -> None:
    assert (somebody.state, somebody.sessions, somebody.branches) == ("active", 0, ("CEN",))
    _, session = signed_in(somebody.email)
    now = people.person(ADMIN, somebody.account_id)
    assert (now.sessions, now.second_factor, now.last_seen_at is not None) == (1, False, True)
    (shown,) = people.list_sessions(ADMIN, somebody.account_id)
    assert (shown.session_id, shown.email) == (session.session_id, somebody.email)
    assert shown.session_id in {s.session_id for s in people.list_sessions(ADMIN)}


@pytest.mark.parametrize(
    "change",
    [
        people.disable,
        lambda by, n: people.set_role(by, n, "member"),
        lambda by, n: people.set_branches(by, n, ["BEL"]),
        lambda by, n: people.link_member(by, n, "card of nobody else"),
        people.end_all_sessions,
    ],
    ids=["disable", "role", "branches", "member", "end"],
)
def test_a_change_of_rights_ends_every_session(
    change: Callable[[Viewer, int], object], somebody: people.Person
) -> None:
    cookies = [signed_in(somebody.email) for _ in range(2)]
    change(ADMIN, somebody.account_id)
    for cookie, session in cookies:
        assert sessions.find(cookie) is None
        assert sessions.alive({session.session_id: session}, {session.session_id}) == set()


def test_several_things_are_changed_together_or_not_at_all(somebody: people.Person) -> None:
    number = somebody.account_id
    people.change(ADMIN, number, "member", ["BEL"], True)
    now = people.person(ADMIN, number)
    assert (now.role, now.branches, now.state) == ("member", ("BEL",), "disabled")
    people.change(ADMIN, number, disabled=False)
    now = people.person(ADMIN, number)
    assert (now.role, now.branches, now.state) == ("member", ("BEL",), "active")
    ((what, role, disabled),) = execute(
        "select details ->> 'what', details ->> 'role', details ->> 'disabled' from audit.entries"
        " where subject = %s and details ->> 'role' is not null", f"account {number}"
    )  # fmt: skip
    assert (what, role, disabled) == ("change", "member", "true")


def test_a_refused_part_leaves_the_others_as_they_were(database: str) -> None:
    one = create_account("one@example.org", "One", "admin", ["CEN"], password=PASSWORD)
    with pytest.raises(ConfigurationError, match="No other admin"):
        people.change(ADMIN, one, branches=["BEL"], disabled=True)
    assert people.person(ADMIN, one).branches == ("CEN",)
    with pytest.raises(ConfigurationError, match="no role"):
        people.change(ADMIN, one, "queen", ["BEL"])  # type: ignore[arg-type]
    assert execute("select branches from app.accounts where account_id = %s", one) == [(["CEN"],)]


def test_what_a_stranger_typed_is_not_kept_as_it_was(here: str) -> None:
    """It may be a password in the wrong field; the same words are counted together all the same."""
    execute("delete from app.sign_ins")
    typed = "my Secret passphrase"
    for _ in range(6):
        sessions.note(typed, "192.0.2.1", "refused")
    sessions.note(EMAILS["admin"].upper(), "192.0.2.1", "refused")
    kept = {row[0] for row in execute("select email from app.sign_ins")}
    (mark,) = kept - {EMAILS["admin"]}
    assert len(kept) == 2
    assert mark.startswith("(no account) ")
    assert typed.lower() not in mark.lower()
    assert sessions.wait(typed.upper(), "192.0.2.1") > 0
    assert sessions.wait("another one", "192.0.2.2") == 0
    execute("delete from app.sign_ins")


def test_a_reset_ends_the_keys_of_programs_and_a_change_only_if_asked(
    somebody: people.Person,
) -> None:
    number = somebody.account_id
    key, _ = callers.make_key(number, "job", ["read"], 5)
    choose_password(number, "a lamp of another kind", end_keys=False)
    assert callers.find(key)
    choose_password(number, PASSWORD)
    assert callers.find(key) is None
    key, _ = callers.make_key(number, "job", ["read"], 5)
    set_password(somebody.email, "a lamp of another kind")
    assert callers.find(key) is None


def test_one_session_is_ended_alone(somebody: people.Person) -> None:
    (first, session), (second, _) = signed_in(somebody.email), signed_in(somebody.email)
    people.end_session(ADMIN, session.session_id)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None


def test_a_disabled_account_comes_back_without_its_sessions(somebody: people.Person) -> None:
    cookie, _ = signed_in(somebody.email)
    people.disable(ADMIN, somebody.account_id)
    assert people.person(ADMIN, somebody.account_id).state == "disabled"
    people.enable(ADMIN, somebody.account_id)
    assert people.person(ADMIN, somebody.account_id).state == "active"
    assert sessions.find(cookie) is None


def test_the_last_admin_stays(database: str) -> None:
    one = create_account("one@example.org", "One", "admin", password=PASSWORD)
    people.invite(ADMIN, "two@example.org", "Two", "admin")  # has not come yet
    for act in (people.disable, lambda by, n: people.set_role(by, n, "member")):
        with pytest.raises(ConfigurationError, match="No other admin"):
            act(ADMIN, one)
    create_account("three@example.org", "Three", "admin", password=PASSWORD)
    people.disable(ADMIN, one)


def test_what_is_wrong_with_a_person_is_told(somebody: people.Person) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        people.invite(ADMIN, somebody.email.upper(), "", "member")
    for act in (people.disable, people.enable, people.person):
        with pytest.raises(ConfigurationError, match="no such account"):
            act(ADMIN, -1)
    with pytest.raises(ConfigurationError, match="no role"):
        people.set_role(ADMIN, somebody.account_id, "owner")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="separator"):
        people.set_branches(ADMIN, somebody.account_id, ["A|B"])
    with pytest.raises(ConfigurationError, match="not invited"):
        people.invite_again(ADMIN, somebody.account_id)


def test_one_account_a_member(somebody: people.Person) -> None:
    create_account("first@carrel.example", "First", "member", (), pseudonym("C1"), PASSWORD)
    with pytest.raises(ConfigurationError, match="Another account"):
        people.link_member(ADMIN, somebody.account_id, " c1 ")
    execute("delete from app.accounts where email = 'first@carrel.example'")
    people.link_member(ADMIN, somebody.account_id, " c1 ")
    assert people.person(ADMIN, somebody.account_id).member_key == pseudonym("C1")
    people.link_member(ADMIN, somebody.account_id, None)
    assert people.person(ADMIN, somebody.account_id).member_key is None


def test_without_mail_an_admin_hands_the_link_over(database: str) -> None:
    made = people.invite(ADMIN, "new@example.org", "New", "librarian", ["CEN"])
    assert people.person(ADMIN, made.account_id).state == "invited"
    assert check_password("new@example.org", "") is None
    token = str(made.link).rpartition("/link/")[2]
    kept = execute("select t::text from app.tokens t")
    assert not any(token in row for (row,) in kept)
    assert tokens.look(token, "reset") is None
    bearer = tokens.look(token, "join")
    assert bearer is not None
    assert (bearer.account_id, bearer.email) == (made.account_id, "new@example.org")
    assert tokens.spend(token, "join") == bearer
    assert tokens.spend(token, "join") is None
    again = people.invite_again(ADMIN, made.account_id)
    assert again.link
    assert again.link != made.link


def test_without_mail_an_admin_hands_over_a_link_to_a_new_password(
    somebody: people.Person,
) -> None:
    made = people.send_reset(ADMIN, somebody.account_id)
    bearer = tokens.look(str(made.link).rpartition("/")[2], "reset")
    assert bearer is not None
    assert bearer.account_id == somebody.account_id
    assert check_password(somebody.email, PASSWORD)  # good until another is chosen
    people.disable(ADMIN, somebody.account_id)
    assert tokens.look(str(made.link).rpartition("/")[2], "reset") is None
    with pytest.raises(ConfigurationError, match="not active"):
        people.send_reset(ADMIN, somebody.account_id)


@pytest.mark.parametrize(
    "over",
    [
        "update app.tokens set expires_at = now()",
        "update app.accounts set disabled_at = now()",
        "update app.accounts set approved_at = null",
    ],
)
def test_a_link_that_is_over_is_nobodys(over: str, database: str) -> None:
    link = people.invite(ADMIN, "new@example.org", "New", "librarian").link
    token = str(link).rpartition("/")[2]
    execute(over)
    assert tokens.look(token, "join") is None
    assert tokens.spend(token, "join") is None


def links_of(mailed: Post) -> list[str]:
    texts = [m.get_content() for m in mailed.mails()]
    return [word for text in texts for word in text.split() if "/link/" in word]


def test_with_mail_the_link_goes_to_the_person_alone(database: str, post: Post) -> None:
    made = people.invite(ADMIN, "new@example.org", "New", "librarian")
    assert made.link is None
    assert execute("select count(*) from app.tokens") == [(0,)]
    assert letters.send_due() == 1
    assert post.to == ["new@example.org"]
    (link,) = links_of(post)
    bearer = tokens.look(link.rpartition("/")[2], "join")
    assert bearer is not None
    assert bearer.account_id == made.account_id
    assert execute("select count(*) from app.letters") == [(0,)]


def test_a_mail_that_is_not_taken_goes_later_with_another_link(database: str, post: Post) -> None:
    people.invite(ADMIN, "new@example.org", "New", "librarian")
    with post.that("refuse"):
        assert letters.send_due() == 0
    ((attempts, error),) = execute("select attempts, last_error from app.letters")
    assert attempts == 1
    assert "new@example.org" not in error
    assert letters.send_due() == 0  # it is not due yet
    execute("update app.letters set next_try_at = now()")
    assert letters.send_due() == 1
    assert len(links_of(post)) == 1


def test_a_letter_is_given_up_after_a_day(database: str, post: Post) -> None:
    people.invite(ADMIN, "new@example.org", "New", "librarian")
    execute("update app.letters set asked_at = now() - interval '25 hours'")
    with post.that("refuse"):
        assert letters.send_due() == 1
    assert execute("select count(*) from app.letters") == [(0,)]


def test_what_is_over_is_forgotten(database: str, setting: Callable[..., None]) -> None:
    setting(sign_in_days=30)
    number = create_account("a@example.org", "A", "admin", password=PASSWORD)
    callers.make_key(number, "old", ["read"], 1)
    _, kept = callers.make_key(number, "in use", ["read"], 1)
    execute("update app.api_keys set expires_at = now() - interval '31 days' where name = 'old'")
    signed_in("a@example.org")
    sessions.note("a@example.org", "::1", "ok")
    people.invite(ADMIN, "b@example.org", "B", "member")
    execute("update app.sessions set ended_at = now() - interval '31 days'")
    execute("update app.sign_ins set at = now() - interval '31 days'")
    execute("update app.tokens set expires_at = now() - interval '1 day'")
    execute("update app.accounts set approved_at = null, created_at = now() - interval '31 days'"
            " where email = 'b@example.org'")  # fmt: skip
    letters.tidy()
    for table in ("sessions", "sign_ins", "tokens"):
        assert execute(f"select count(*) from app.{table}") == [(0,)], table
    assert execute("select account_id from app.accounts") == [(number,)]
    assert execute("select key_id from app.api_keys") == [(kept["key_id"],)]


def test_old_secrets_get_the_new_keys_and_keep_the_old(
    tmp_path: Path, setting: Callable[..., None]
) -> None:
    from warehouse.settings import settings

    setting(home=tmp_path)
    file = tmp_path / "secrets.json"
    file.write_text('{"cookie_key": "kept"}')
    file.chmod(0o600)
    assert settings().secrets["cookie_key"] == "kept"
    made = settings().secrets["factor_key"]
    assert len(made) > 30
    assert file.stat().st_mode & 0o777 == 0o600
    settings.cache_clear()
    assert settings().secrets["factor_key"] == made


def test_the_database_itself_refuses_raw_sql_of_others(here: str) -> None:
    from sqlalchemy.exc import ProgrammingError

    from bi_app.auth.sql import run_as
    from warehouse.access import acting_as

    assert run_as(ADMIN, "list_accounts", account_id=None, idle_minutes=60)
    for secret in ("password_hash", "*"):
        with acting_as(ADMIN) as db, pytest.raises(ProgrammingError, match="permission denied"):
            db.exec_driver_sql(f"select {secret} from app.accounts")
    forged = Viewer("x", "admin")
    with psycopg.connect(_url("admin")) as db:  # the admin's login, without a claim
        assert forged.role == "admin"
        assert db.execute("select count(*) from app.accounts").fetchone() == (0,)
        assert db.execute("update app.accounts set role = 'admin'").rowcount == 0


def _url(login: str) -> str:
    from warehouse.settings import settings

    url = settings().url(login).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
