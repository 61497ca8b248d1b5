from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from bi_app.auth import sessions, tokens
from bi_app.auth.accounts import (
    check_password,
    create_account,
    hash_password,
    set_password,
    verify_password,
)
from bi_app.auth.sql import run
from tests.bi_app.fix_app import EMAILS, PASSWORD
from warehouse.errors import ConfigurationError


def test_a_hash_is_argon2id_of_at_least_46_mib() -> None:
    hashed = hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$")
    assert int(hashed.split("m=")[1].split(",")[0]) >= 46 * 1024
    assert verify_password(PASSWORD, hashed)
    assert not verify_password(PASSWORD + ".", hashed)
    assert not verify_password(PASSWORD, "no hash")


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_has_10_to_256_characters(password: str) -> None:
    with pytest.raises(ConfigurationError, match="characters"):
        hash_password(password)


@pytest.mark.usefixtures("here")
def test_an_e_mail_has_one_account_whatever_its_case() -> None:
    with pytest.raises(ConfigurationError, match="already"):
        create_account(EMAILS["admin"].upper(), "Twin", "admin", password=PASSWORD)


@pytest.mark.parametrize(
    ("role", "branches", "key", "email"),
    [
        ("owner", (), None, "x@carrel.example"),
        ("librarian", ("A,B",), None, "x@carrel.example"),
        ("librarian", ("A|B",), None, "x@carrel.example"),
        ("member", (), "a|b", "x@carrel.example"),
        ("admin", (), None, "no address"),
        ("admin", (), None, "a|admin@carrel.example"),
    ],
)
def test_what_a_claim_cannot_hold_is_refused(
    role: str, branches: tuple[str, ...], key: str | None, email: str
) -> None:
    with pytest.raises(ConfigurationError):
        create_account(email, "X", role, branches, key, PASSWORD)  # type: ignore[arg-type]


@pytest.mark.usefixtures("here")
def test_a_password_is_checked_and_a_disabled_account_is_none() -> None:
    create_account("gone@carrel.example", "Gone", "admin", password=PASSWORD)
    found = check_password("GONE@carrel.example", PASSWORD)
    assert found is not None
    assert found.viewer.role == "admin"
    assert check_password("gone@carrel.example", "wrong password") is None
    assert check_password("nobody@carrel.example", PASSWORD) is None
    _disable("gone@carrel.example")
    assert check_password("gone@carrel.example", PASSWORD) is None


@pytest.mark.usefixtures("here")
def test_the_database_keeps_no_token_and_sessions_end() -> None:
    create_account("one@carrel.example", "One", "admin", password=PASSWORD)
    account = check_password("one@carrel.example", PASSWORD)
    assert account is not None
    first = sessions.start(account, address="::1", client="test")
    second = sessions.start(account, address="::1", client="test")
    assert first != second
    token = sessions.opened("session", first) or ""
    stored = [bytes(r.token_sha256) for r in _sessions()]
    assert all(token.encode() not in s and len(s) == 32 for s in stored)
    found = sessions.find(first)
    assert found is not None
    sessions.end(found.session_id)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None
    set_password("one@carrel.example", PASSWORD + "!")
    assert sessions.find(second) is None


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "ageing",
    [
        "update app.sessions set seen_at = now() - interval '61 minutes'",
        "update app.sessions set expires_at = now()",
        "update app.accounts set disabled_at = now() where email = 'old@carrel.example'",
    ],
)
def test_idle_expired_and_disabled_sessions_are_none(ageing: str) -> None:
    _renew("old@carrel.example")
    account = check_password("old@carrel.example", PASSWORD)
    assert account is not None
    cookie = sessions.start(account, address="::1", client="test")
    known = sessions.find(cookie)
    assert known is not None
    assert sessions.alive({known.session_id: known}, set()) == {known.session_id}
    _execute(ageing)
    assert sessions.find(cookie) is None
    assert sessions.alive({known.session_id: known}, set()) == set()


@pytest.mark.usefixtures("here")
def test_a_change_of_rights_ends_an_open_page() -> None:
    _renew("moved@carrel.example")
    account = check_password("moved@carrel.example", PASSWORD)
    assert account is not None
    known = sessions.find(sessions.start(account, address="::1", client="test"))
    assert known is not None
    _execute("update app.accounts set role = 'member' where email = 'moved@carrel.example'")
    assert sessions.alive({known.session_id: known}, {known.session_id}) == set()


@pytest.mark.parametrize("cookie", [None, "", "x", "token.", "token.00", ".", "a.b.c"])
def test_a_forged_cookie_is_no_session(cookie: str | None) -> None:
    assert sessions.opened("session", cookie) is None


def test_a_seal_holds_for_one_purpose_only() -> None:
    assert sessions.opened("session", sessions.sealed("session", "t")) == "t"
    assert sessions.opened("session", sessions.sealed("seed", "t")) is None


@pytest.mark.usefixtures("here")
def test_failures_slow_an_account_down_from_their_address_only() -> None:
    email = "slow@carrel.example"
    for _ in range(5):
        assert sessions.wait(email, "10.0.0.1") == 0
        sessions.note(email, "10.0.0.1", "refused")
    assert 1 <= sessions.wait(email, "10.0.0.1") <= 15
    sessions.note(email, "10.0.0.1", "refused")
    assert 16 <= sessions.wait(email, "10.0.0.1") <= 30
    assert sessions.wait(email, "10.0.0.2") == 0
    sessions.note(email, "10.0.0.1", "ok")
    assert sessions.wait(email, "10.0.0.1") == 0


def _renew(email: str) -> None:
    if not run("account", email=email):
        _execute(f"delete from app.accounts where email = '{email}'")
        create_account(email, "Old", "admin", password=PASSWORD)


def _disable(email: str) -> None:
    _execute(f"update app.accounts set disabled_at = now() where email = '{email}'")


def _execute(statement: str) -> None:
    from warehouse.database import connect

    with connect() as connection:
        connection.execute(statement.encode())


def _sessions() -> list[Any]:
    from warehouse.database import connect

    with connect() as connection:
        from psycopg.rows import namedtuple_row

        cursor = connection.cursor(row_factory=namedtuple_row)
        return list(cursor.execute("select token_sha256 from app.sessions").fetchall())


@pytest.mark.usefixtures("here")
def test_a_password_set_at_the_shell_ends_links_and_sign_ins_half_done() -> None:
    number = create_account("shell@carrel.example", "", "member", password=PASSWORD)
    made = [tokens.make(tokens.Bearer(purpose, number, "", "")) for purpose in ("reset", "second")]
    set_password("SHELL@carrel.example", "another lamp on a desk")
    assert [tokens.look(one, "reset", "second") for one in made] == [None, None]
    with pytest.raises(ConfigurationError, match="has no account"):
        set_password("nobody@carrel.example", "another lamp on a desk")


@pytest.mark.usefixtures("here")
def test_an_error_of_the_database_does_not_say_what_was_written() -> None:
    with pytest.raises(SQLAlchemyError) as caught:
        run("rename", account_id=1, name="Sophie\0Secret")
    assert "Sophie" not in str(caught.value)
