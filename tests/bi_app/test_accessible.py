"""Every page, by day and by night, as axe-core judges it: nothing serious in its way."""

from __future__ import annotations

from collections.abc import Callable
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
GRAVE = {"serious", "critical"}
ASKED = {"/dataset": f"?name={BAD}"}
WITHIN = "[data-opened]"  # what a click has changed
OPENED_IN = "it => (it.closest('[data-cell], .kpi') || document.body).dataset.opened = ''"
READY = "html[data-ready], .blank"
OPENED = [
    (rule.path, "member" if rule.roles == {"member"} else "admin")
    for rule in PAGES.values()
    if rule.path != "/app"
] + [("/explore?table=gold.library_circulation&face=summary&by=branch_code", "admin")]


@pytest.fixture(scope="module")
def state(browser: Any, app: Served) -> Callable[[str], Any]:
    """What a browser keeps of a person who has signed in."""
    kept: dict[str, Any] = {}

    def signed_in(role: str) -> Any:
        if role not in kept:
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{app.base}/sign-in")
            page.fill("#email", EMAILS[role])
            page.fill("#password", PASSWORD)
            page.press("#password", "Enter")
            page.wait_for_selector(READY)
            kept[role] = context.storage_state()
            context.close()
        return kept[role]

    return signed_in


def grave(page: Any, within: str | None = None, **options: Any) -> list[tuple[str, str]]:
    """The rules that are broken seriously, each with the first place where it is."""
    # To describe each node that passes takes axe several times as long as to judge it.
    asked = {"resultTypes": ["violations"], **options}
    found = Axe().run(page, within, asked).response["violations"]
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
    browser: Any, app: Served, here: str, state: Callable[[str], Any], path: str
) -> None:
    own = path.startswith("/account")
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        storage_state=state("librarian") if own else None,
    )
    try:
        page = context.new_page()
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
        context.close()
        execute("delete from app.email_changes")


@pytest.mark.parametrize(("path", "role"), OPENED)
def test_a_page_has_no_serious_violation(
    browser: Any, app: Served, state: Callable[[str], Any], path: str, role: str
) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, storage_state=state(role)
    )
    try:
        page = context.new_page()
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
            assert grave(page, WITHIN) == []
    finally:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_that_waits_is_read_as_well(
    browser: Any, app: Served, state: Callable[[str], Any], theme: str
) -> None:
    context = browser.new_context(storage_state=state("admin"), reduced_motion="reduce")
    try:
        page = context.new_page()
        page.goto(f"{app.base}/overview")
        page.wait_for_selector(READY)
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        page.evaluate("document.body.classList.add('busy')")
        bar = "getComputedStyle(document.querySelector('.top'), '::after').opacity"
        page.wait_for_function(f"{bar} === '1'")
        assert grave(page, runOnly=["color-contrast"]) == []
    finally:
        context.close()
