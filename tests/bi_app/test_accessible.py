"""Every page, by day and by night, as axe-core judges it: nothing serious in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from bi_app.auth.roles import PAGES
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served
from tests.bi_app.test_quality import BAD

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


@pytest.mark.parametrize(("path", "role"), [*OPENED, ("/sign-in", "")])
def test_a_page_has_no_serious_violation(
    browser: Any, app: Served, state: Callable[[str], Any], path: str, role: str
) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, storage_state=state(role) if role else None
    )
    try:
        page = context.new_page()
        page.goto(f"{app.base}{path}{ASKED.get(path, '')}")
        page.wait_for_selector(READY if role else "#email")
        assert page.locator(".blank").count() == 0, "the page has something to judge"
        assert grave(page) == []
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        assert grave(page, runOnly=["color-contrast"]) == []
        for detail in ("[data-act=table]", ".kpi summary", ".asked summary", ".saved summary"):
            seen = page.locator(f"{detail}:visible")
            if seen.count():
                seen.first.click()
                seen.first.evaluate(OPENED_IN)
        if page.locator(WITHIN).count():
            assert grave(page, WITHIN) == []
    finally:
        context.close()
