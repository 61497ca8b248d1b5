"""Having a page mailed, in a browser: the dialog, the keyboard, the list; axe-core looks too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bi_app.models import subscriptions
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served
from tests.bi_app.test_accessible import READY, grave
from tests.bi_app.test_report_mails import viewer
from warehouse.database import connect

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Any, app: Served, here: str) -> Iterator[Any]:
    """A browser in which a librarian has signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto(f"{app.base}/sign-in")
    opened.fill("#email", EMAILS["librarian"])
    opened.fill("#password", PASSWORD)
    opened.press("#password", "Enter")
    opened.wait_for_selector(READY)
    yield opened
    context.close()
    with connect() as db:
        db.execute("delete from app.subscriptions")


def test_a_page_is_mailed_with_the_filters_that_are_set(page: Any, app: Served) -> None:
    page.goto(f"{app.base}/circulation?period=30d&measure=renewals")
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#send-me").is_hidden()
    page.get_by_role("button", name="Send me this").first.press("Enter")
    dialog = page.locator("dialog[open]")
    assert dialog.get_by_label("On day").is_hidden()
    dialog.get_by_label("Monthly").check()
    dialog.get_by_label("On day").select_option("15")
    assert dialog.get_by_label("Weekday", exact=True).is_hidden()
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert grave(page) == []
    dialog.get_by_role("button", name="Send me this").click()
    dialog.get_by_text("Day 15 of each month at 07:00, first on").wait_for()
    (one,) = subscriptions.listed(viewer("librarian"))
    assert one.choice == {"period": ["30d"], "measure": ["renewals"]}
    page.keyboard.press("Escape")
    assert page.locator("#send-me").is_hidden()


def test_the_list_is_used_on_a_phone(page: Any, app: Served) -> None:
    page.goto(f"{app.base}/fines")
    page.wait_for_selector("html[data-ready]")
    page.get_by_role("button", name="Send me this").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Send me this").click()
    page.locator(".mail-told.form-done").wait_for()
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{app.base}/account/mails")
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert grave(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    page.get_by_text("Change", exact=True).click()
    page.get_by_label("Daily").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The times are changed.").wait_for()
    page.get_by_text("every day at 07:00").wait_for()
    page.get_by_role("button", name="End Overdue and fines, every day at 07:00").click()
    page.get_by_text("None yet.").wait_for()


def test_the_pdf_of_a_choice_is_a_click_away(page: Any, app: Served) -> None:
    page.goto(f"{app.base}/circulation?period=30d")
    page.wait_for_selector("html[data-ready]")
    page.locator(".page-tools summary").click()
    with page.expect_download() as found:
        page.locator(".page-tools").get_by_role("link", name="PDF").click()
    assert "period=30d" in found.value.url
    assert found.value.suggested_filename.endswith(".pdf")
