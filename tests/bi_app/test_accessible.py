"""Every page, by day and by night, as axe-core judges it: nothing serious in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from bi_app.auth import new_address, tokens
from bi_app.auth.roles import PAGES
from bi_app.auth.tokens import Bearer
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served
from tests.bi_app.test_people import execute
from tests.bi_app.test_quality import BAD
from tests.bi_app.test_second_factor import number_of

pytestmark = pytest.mark.browser
DESKTOP = {"width": 1280, "height": 900}
GRAVE = {"serious", "critical"}
ASKED = {"/dataset": f"?name={BAD}"}
WITHIN = "[data-opened]"  # what a click has changed
OPENED_IN = "it => (it.closest('[data-cell], .kpi') || document.body).dataset.opened = ''"
ONE_OF_EACH = """() => {  // of rows that differ in their words alone, the first two stay
  const seen = {};
  for (const row of document.querySelectorAll(".data tbody tr")) {
    const shape = row.outerHTML.replace(/>[^<]+</g, ">x<").replace(/\\d+/g, "0");
    seen[shape] = (seen[shape] || 0) + 1;
    if (seen[shape] > 2) row.remove();
  }
}"""
READY = "html[data-ready], .blank"
OPENED = [
    (rule.path, "member" if rule.roles == {"member"} else "admin")
    for rule in PAGES.values()
    if rule.path != "/app"
] + [("/explore?table=gold.library_circulation&face=summary&by=branch_code", "admin")]


@pytest.fixture(scope="module")
def windows(browser: Any, app: Served) -> Iterator[Callable[[str | None], Any]]:
    """A window a role, signed in, and one of nobody.

    Their pages share what a browser keeps: to fetch and read the scripts anew for each page takes
    it as long as the page itself.
    """
    kept: dict[str | None, Any] = {}

    def window(role: str | None) -> Any:
        if role not in kept:
            kept[role] = browser.new_context(viewport=DESKTOP)
            if role:
                sign_in(kept[role].new_page(), app, role)
        return kept[role]

    yield window
    for context in kept.values():
        context.close()


@pytest.fixture
def opened(windows: Callable[[str | None], Any]) -> Iterator[Callable[[str | None], Any]]:
    """Makes a page in the window of a role; closed with the test."""
    pages: list[Any] = []

    def new(role: str | None) -> Any:
        pages.append(windows(role).new_page())
        return pages[-1]

    yield new
    for page in pages:
        page.close()


def sign_in(page: Any, app: Served, role: str) -> None:
    page.goto(f"{app.base}/sign-in")
    page.fill("#email", EMAILS[role])
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector(READY)
    page.close()


def grave(page: Any, within: str | None = None, **options: Any) -> list[tuple[str, str]]:
    """The rules that are broken seriously, each with the first place where it is."""
    # To describe each node that passes takes axe several times as long as to judge it.
    asked = {"resultTypes": ["violations"], **options}
    there = page.evaluate("typeof axe === 'object'")  # from an earlier look at this page
    axe = Axe("") if there else Axe()
    found = axe.run(page, within, asked).response["violations"]
    return [(v["id"], v["nodes"][0]["html"][:160]) for v in found if v["impact"] in GRAVE]


def link_of(what: str) -> str:
    """The path of a link of a mail that an account got."""
    email = EMAILS["librarian"]
    number = number_of(email)
    if what == "/choose-password":
        return f"/link/{tokens.make(Bearer('reset', number, email, 'Lin'))}"
    new_address.ask(number, email, "lin.new@carrel.example")
    (change,) = execute("select max(change_id) from app.email_changes")
    make = new_address.confirm_link if what == "/address" else new_address.object_link
    return "/address/" + str(make(change[0])).rpartition("/")[2]


FORMS = ("/account", "/account/second-factor", "/sign-in", "/forgot", "/register", "/address",
         "/address?object", "/choose-password")  # fmt: skip


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_accounts_has_no_serious_violation(
    app: Served, here: str, opened: Callable[[str | None], Any], path: str
) -> None:
    page = opened("librarian" if path.startswith("/account") else None)
    try:
        linked = path.startswith(("/address", "/choose"))
        page.goto(app.base + (link_of(path) if linked else path))
        page.wait_for_selector("h1")
        assert page.locator("form[method=post]").count() > 0, "the page has something to judge"
        assert grave(page) == []
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        assert grave(page, runOnly=["color-contrast"]) == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert grave(page) == []
    finally:
        execute("delete from app.email_changes")


@pytest.mark.parametrize(("path", "role"), OPENED)
def test_a_page_has_no_serious_violation(
    app: Served, opened: Callable[[str | None], Any], path: str, role: str
) -> None:
    page = opened(role)
    page.goto(f"{app.base}{path}{ASKED.get(path, '')}")
    page.wait_for_selector(READY)
    assert page.locator(".blank").count() == 0, "the page has something to judge"
    assert grave(page) == []
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert grave(page, runOnly=["color-contrast"]) == []
    for detail in ("[data-act=table]", ".kpi summary", ".asked summary", ".saved summary"):
        if page.locator(f"{detail}:visible").count():
            page.locator(f"{detail}:visible").first.click()
            page.locator(f"{detail}:visible").first.evaluate(OPENED_IN)
    if page.locator(WITHIN).count():
        page.evaluate(ONE_OF_EACH)
        assert grave(page, WITHIN) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_that_waits_is_read_as_well(
    app: Served, opened: Callable[[str | None], Any], theme: str
) -> None:
    page = opened("admin")
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{app.base}/overview")
    page.wait_for_selector(READY)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    page.evaluate("document.body.classList.add('busy')")
    bar = "getComputedStyle(document.querySelector('.top'), '::after').opacity"
    page.wait_for_function(f"{bar} === '1'")
    assert grave(page, runOnly=["color-contrast"]) == []
