"""Codes of an app and recovery codes: sealed, each accepted once, asked for at sign-in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest

from bi_app.auth import callers, people, second_factor
from bi_app.auth.accounts import check_password
from bi_app.auth.sql import run
from tests.bi_app.client import TOKEN, Client
from tests.bi_app.fix_app import EMAILS, PASSWORD
from tests.bi_app.test_people import ADMIN, execute
from warehouse.errors import ConfigurationError

Guest = Callable[..., Client]


def number_of(email: str) -> int:
    return int(execute("select account_id from app.accounts where email = %s", email)[0][0])


def code_at(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


def switched_on(email: str) -> tuple[int, str, list[str]]:
    """Number, secret and recovery codes; the code of one step before now is used."""
    number = number_of(email)
    secret = second_factor.begin(number)
    codes = second_factor.confirm(number, code_at(secret, -1))
    assert codes is not None
    return number, secret, codes


def test_it_is_on_after_the_first_right_code(ann: str) -> None:
    number = number_of(ann)
    secret = second_factor.begin(number)
    assert second_factor.begin(number) == secret
    assert not second_factor.is_on(number)
    assert second_factor.accept(number, code_at(secret)) is None  # not before it is confirmed
    assert second_factor.confirm(number, "000000" if code_at(secret) != "000000" else "1") is None
    assert second_factor.confirm(number, code_at(secret)) is not None
    assert second_factor.is_on(number)
    with pytest.raises(ConfigurationError, match="already"):
        second_factor.begin(number)
    second_factor.remove(number)
    assert not second_factor.is_on(number)


def test_a_code_counts_once_and_no_older_one_after_it(ann: str) -> None:
    number, secret, _ = switched_on(ann)
    assert second_factor.accept(number, code_at(secret, -1)) is None  # it was used to switch on
    later = code_at(secret, +1)
    assert second_factor.accept(number, f" {later[:3]} {later[3:]} ") == "code"
    assert second_factor.accept(number, later) is None
    assert second_factor.accept(number, code_at(secret)) is None


@pytest.mark.parametrize("steps", [-3, 3, 100])
def test_codes_of_other_times_are_wrong(ann: str, steps: int) -> None:
    number, secret, _ = switched_on(ann)
    assert second_factor.accept(number, code_at(secret, steps)) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "x" * 500, "\0"])
def test_what_is_no_code_is_wrong(ann: str, code: str) -> None:
    number, _, _ = switched_on(ann)
    assert second_factor.accept(number, code) is None


def test_each_recovery_code_counts_once(ann: str) -> None:
    number, _, codes = switched_on(ann)
    assert len(set(codes)) == second_factor.recovery_left(number) == 10
    assert all(re.fullmatch(r"([A-Z2-9]{6}-){3}[A-Z2-9]{6}", code) for code in codes)
    assert second_factor.accept(number, codes[0].lower().replace("-", " ")) == "recovery"
    assert second_factor.accept(number, codes[0]) is None
    assert second_factor.recovery_left(number) == 9
    renewed = second_factor.renew_recovery(number)
    assert second_factor.accept(number, codes[1]) is None
    assert second_factor.accept(number, renewed[1]) == "recovery"


def test_nothing_in_the_database_is_secret_or_code(ann: str) -> None:
    number, secret, codes = switched_on(ann)
    rows = execute("select encode(secret, 'escape') from app.second_factors")
    rows += execute("select encode(code_sha256, 'escape') from app.recovery_codes")
    assert len(rows) > 10
    assert not any(s in row for (row,) in rows for s in (secret, *codes))
    other = number_of(EMAILS["librarian"])
    execute("insert into app.second_factors select %s, secret, made_at, confirmed_at, 0"
            " from app.second_factors where account_id = %s", other, number)  # fmt: skip
    try:  # a secret that was moved to another account opens nothing
        with pytest.raises(ConfigurationError, match="key is another"):
            second_factor.accept(other, code_at(secret))
    finally:
        execute("delete from app.second_factors where account_id = %s", other)


def test_the_picture_is_drawn_here_and_says_the_address(ann: str) -> None:
    account = check_password(ann, PASSWORD)
    assert account is not None
    address = second_factor.address(account, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    assert address.startswith("otpauth://totp/Carrel:ann%40desk.example?")
    picture = second_factor.picture(address)
    assert picture.startswith("<svg")
    assert "viewBox" in picture.partition(">")[0]  # it shrinks whole, and is not cut off
    assert "http" not in picture.replace("http://www.w3.org", "")


def test_sign_in_takes_two_steps(guest: Guest, ann: str) -> None:
    _, secret, codes = switched_on(ann)
    client = guest()
    first = client.sign_in(ann, PASSWORD, "/account")
    assert (first.status_code, first.headers["location"]) == (
        303,
        "/sign-in/second?next=%2Faccount",
    )
    assert "carrel_session" not in client.http.cookies
    assert client.http.get("/account").status_code == 303  # half signed in is not signed in
    page = first.headers["location"]
    assert client.submit(page, code="000000", next="/account").status_code == 401
    code = code_at(secret)
    done = client.submit(page, "/sign-in/second", code=code, next="/account")
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    assert "code" in client.http.get("/account").text
    again = guest()
    again.sign_in(ann, PASSWORD)
    assert again.submit("/sign-in/second", code=code).status_code == 401  # a replay
    assert again.submit("/sign-in/second", code=codes[0]).status_code == 303
    assert again.http.get("/account").status_code == 200


def test_the_second_step_is_nobodys_without_the_first(guest: Guest, ann: str) -> None:
    _, secret, _ = switched_on(ann)
    stranger = guest()
    assert stranger.http.get("/sign-in/second").headers["location"] == "/sign-in"
    assert stranger.http.get("/sign-in/set-up").headers["location"] == "/sign-in"
    client = guest()
    client.sign_in(ann, PASSWORD)
    execute("update app.tokens set expires_at = now()")
    late = client.http.post("/sign-in/second", data={"code": code_at(secret), "token": "x"})
    assert late.headers["location"] == "/sign-in"


def test_five_wrong_codes_end_the_second_step(guest: Guest, ann: str) -> None:
    _, secret, _ = switched_on(ann)
    client = guest()
    client.sign_in(ann, PASSWORD)
    wrong = "000000" if "000000" not in [code_at(secret, s) for s in (-1, 0, 1)] else "999999"
    codes = [client.submit("/sign-in/second", code=wrong).status_code for _ in range(5)]
    assert codes == [401] * 4 + [303]
    assert client.http.get("/sign-in/second").headers["location"] == "/sign-in"
    assert client.sign_in(ann, PASSWORD).status_code == 429  # the address waits now


def test_a_role_that_must_have_one_sets_it_up_on_the_way_in(
    guest: Guest, ann: str, setting: Callable[..., None], here: str
) -> None:
    setting(second_factor="librarian, admin", database=here)
    client = guest()
    assert client.sign_in(ann, PASSWORD).headers["location"].startswith("/sign-in/set-up")
    assert client.http.get("/account").status_code == 303
    page = client.http.get("/sign-in/set-up").text
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert secret
    assert "<svg" in page
    assert client.submit("/sign-in/set-up", code="12").status_code == 401
    plain = secret[1].replace(" ", "")
    done = client.submit("/sign-in/set-up", code=code_at(plain))
    assert done.status_code == 200
    assert len(re.findall(r"<li><code>", done.text)) == 10
    assert client.http.get("/account").status_code == 200
    off = client.submit("/account", "/account/factor-off", current=PASSWORD)
    assert (off.status_code, "must have" in off.text) == (400, True)


def test_an_admin_takes_a_lost_one_away(ann: str) -> None:
    number, _, _ = switched_on(ann)
    assert people.person(ADMIN, number).second_factor
    people.remove_second_factor(ADMIN, number)
    assert not people.person(ADMIN, number).second_factor
    assert not run("second_factor", account_id=number, confirmed=True)
    assert execute("select 1 from app.recovery_codes where account_id = %s", number) == []


def test_codes_that_are_tried_at_once_are_counted_one_by_one(guest: Guest, ann: str) -> None:
    _, secret, _ = switched_on(ann)
    client = guest()
    client.sign_in(ann, PASSWORD)
    page = client.http.get("/sign-in/second").text
    wrong = "000000" if "000000" not in [code_at(secret, s) for s in (-1, 0, 1)] else "999999"
    data = {"code": wrong, "token": TOKEN.findall(page)[0]}
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: client.http.post("/sign-in/second", data=data), range(16)))
    ((tried,),) = execute("select count(*) from app.sign_ins where outcome = 'second'")
    assert tried <= 6


def test_passwords_that_are_tried_at_once_are_counted_one_by_one(guest: Guest, ann: str) -> None:
    client = guest()
    page = client.http.get("/sign-in").text
    data = {"email": ann, "password": "wrong", "token": TOKEN.findall(page)[0]}
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: client.http.post("/sign-in", data=data), range(16)))
    ((tried,),) = execute("select count(*) from app.sign_ins where outcome = 'refused'")
    assert tried <= 6


def test_a_secret_that_nobody_confirmed_is_shown_for_a_quarter_of_an_hour(ann: str) -> None:
    """Who saw it in a stolen session would know the one that is confirmed weeks later."""
    number = number_of(ann)
    seen = second_factor.begin(number)
    execute("update app.second_factors set made_at = now() - interval '16 minutes'"
            " where account_id = %s", number)  # fmt: skip
    fresh = second_factor.begin(number)
    assert fresh != seen
    assert second_factor.begin(number) == fresh
    assert second_factor.confirm(number, code_at(seen)) is None
    assert second_factor.confirm(number, code_at(fresh)) is not None


def test_a_recovery_code_that_the_api_took_is_told_by_mail(
    ann: str, here: str, setting: Callable[..., None]
) -> None:
    _, _, codes = switched_on(ann)
    setting(smtp_host="127.0.0.1", database=here)
    assert callers.verified(ann, PASSWORD, codes[0])[1] == "ok"
    letters = execute("select kind, note, email from app.letters")
    assert letters == [("changed", "recovery", ann)]
