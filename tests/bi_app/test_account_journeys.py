"""What people do about their accounts in a real browser: join, reset, second factor, sign out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bi_app.auth.accounts import create_account
from deployments import letters
from tests.bi_app.fix_app import PASSWORD
from tests.bi_app.test_journeys import DESKTOP, PHONE, Journey
from tests.bi_app.test_people import execute, links_of
from tests.bi_app.test_second_factor import code_at
from tests.tasks.fix_smtp import Post, post

__all__ = ["post"]
pytestmark = pytest.mark.browser
NEW = "three green lamp shades"
READER = "reader@desk.example"


@pytest.fixture
def journey(browser: Any, doors: str) -> Iterator[Callable[..., Journey]]:
    """Windows that show the forms of accounts, which need no Panel."""
    contexts: list[Any] = []

    def start(**options: Any) -> Journey:
        context = browser.new_context(viewport=options.pop("viewport", DESKTOP), **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        return Journey(context, doors)

    yield start
    for context in contexts:
        context.close()


@pytest.fixture
def mailed(doors: str, here: str, post: Post, setting: Callable[..., None]) -> Iterator[Any]:
    """The newest link that was mailed, after sending what is due."""
    setting(registration="mail", app_url=doors, database=here)
    execute("delete from app.letters")
    execute("delete from app.sign_ins")

    def newest() -> str:
        letters.send_due()
        return links_of(post)[-1]

    yield newest
    execute("delete from app.accounts where email = %s", READER)


def fill(page: Any, **fields: str) -> None:
    for name, text in fields.items():
        page.fill(f"input[name={name}]", text)
    page.keyboard.press("Enter")


def signs_in(page: Any, base: str, password: str) -> None:
    page.goto(f"{base}/sign-in?next=/account")
    fill(page, email=READER, password=password)


def test_register_confirm_sign_in_and_reset(journey: Callable[..., Journey], mailed: Any) -> None:
    went = journey()
    page = went.page
    page.goto(f"{went.base}/sign-in")
    page.click("text=Register as a member")
    page.fill("input[name=name]", "Rita Reader")
    fill(page, email=READER)
    page.wait_for_selector("text=Look into your mail")
    page.goto(mailed())
    assert page.url == f"{went.base}/choose-password"
    fill(page, password=NEW, again=NEW)
    page.wait_for_selector("text=Your password is set")
    signs_in(page, went.base, NEW)
    page.wait_for_selector("h1:has-text('My account')")
    assert "Rita Reader" in page.input_value("input[name=name]")
    assert "no loans are linked" in page.text_content("main")
    page.click("text=Sign out everywhere")
    page.wait_for_selector("text=signed out everywhere")
    page.click("text=Forgot your password?")
    fill(page, email=READER)
    page.wait_for_selector("text=Look into your mail")
    page.goto(mailed())
    fill(page, password=NEW + " again", again=NEW + " again")
    page.wait_for_selector("text=Your password is set")
    signs_in(page, went.base, NEW + " again")
    page.wait_for_selector("h1:has-text('My account')")
    assert [u for u in went.asked if "/link/" in u]  # opened twice, and never told to anybody
    went.check()


def test_a_second_factor_and_sign_out_everywhere(
    journey: Callable[..., Journey], mailed: Any
) -> None:
    create_account(READER, "Rita Reader", "librarian", ["CEN"], password=PASSWORD)
    went, other = journey(), journey()
    page = went.page
    signs_in(page, went.base, PASSWORD)
    page.click("text=Set it up")
    page.click("text=It cannot be scanned")
    secret = page.text_content(".key code").replace(" ", "")
    assert page.locator(".qr-box svg path").count() > 0
    fill(page, code=code_at(secret, -1), current=PASSWORD)
    page.wait_for_selector("h1:has-text('Your recovery codes')")
    codes = page.locator(".recovery code").all_text_contents()
    page.click("text=I have kept them")
    page.wait_for_selector("text=10 of 10 recovery codes")
    signs_in(other.page, went.base, PASSWORD)
    fill(other.page, code=codes[0])
    other.page.wait_for_selector("h1:has-text('My account')")
    assert other.page.locator(".sessions li").count() == 2
    page.reload()
    page.click("text=Sign out everywhere")
    page.wait_for_selector("text=signed out everywhere")
    other.page.reload()
    other.page.wait_for_selector("h1:has-text('Sign in')")
    went.check()


PAGES = ("/sign-in", "/forgot", "/register", "/account", "/account/second-factor")


@pytest.mark.parametrize("look", ["desktop", "dark", "phone"])
def test_the_pages_fit_and_are_kept_as_pictures(
    journey: Callable[..., Journey], mailed: Any, tmp_path: Path, look: str
) -> None:
    create_account(READER, "Rita Reader", "librarian", ["CEN"], password=PASSWORD)
    size = PHONE if look == "phone" else DESKTOP
    went = journey(viewport=size, color_scheme="dark" if look == "dark" else "light")
    page = went.page
    for path in PAGES:
        if path == "/account":
            signs_in(page, went.base, PASSWORD)
            page.wait_for_selector("h1:has-text('My account')")
        page.goto(went.base + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path
        file = tmp_path / f"{look}{path.replace('/', '_')}.png"
        page.screenshot(path=file, full_page=True)
        assert file.stat().st_size > 4000
    went.check()
