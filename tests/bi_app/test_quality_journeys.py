"""What staff do about quality in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.bi_app.test_journeys import PHONE, READY, Journey, journey
from tests.bi_app.test_quality import BAD, HELD
from warehouse.database import connect

__all__ = ["journey"]
pytestmark = pytest.mark.browser


def test_a_librarian_reads_from_a_failing_check_to_its_values(
    journey: Callable[..., Journey],
) -> None:
    went = journey()
    page = went.sign_in("librarian", "/quality")
    page.click("[data-card=health] summary")
    assert page.is_visible("[data-card=health] .pop-body table.parts")
    page.keyboard.press("Escape")
    row = page.locator("[data-cell=datasets] tbody tr").first
    row.locator("details.score summary").click()
    box = row.locator(".pop-body").bounding_box()
    assert box["y"] >= 0
    assert "How it is worked out" in row.locator(".pop-body").text_content()
    page.keyboard.press("Escape")
    page.click("[data-cell=score] [data-act=table]")
    assert page.locator("[data-cell=score] tbody tr").count() >= 12
    went.saved("failing", "csv")
    page.click(f"[data-cell=failing] a[href*='{BAD}'][href*='check=check%201']")
    page.wait_for_selector(READY)
    assert page.text_content("h1") == "Holds"
    assert "dashed line is the threshold" in page.text_content("[data-note=trend]")
    assert page.locator("[data-cell=lineage] .stages > li").count() == 4
    assert page.locator("[data-cell=samples]").count() == 0
    page.select_option("[data-choose=name]", HELD)
    page.wait_for_function("document.querySelector('h1').textContent === 'Loan events'")
    page.goto(f"{went.base}/pipelines")
    page.wait_for_selector(READY)
    assert page.locator("[data-cell=pipelines] tbody tr").count() == 15
    assert page.locator("text=Run now").count() == 0
    went.check()


def test_an_admin_runs_a_pipeline_with_the_keyboard(
    journey: Callable[..., Journey], here: str
) -> None:
    went = journey()
    page = went.sign_in("admin", "/pipelines")
    try:
        page.focus(f"[data-focus='act{BAD}']")
        page.keyboard.press("Enter")
        page.wait_for_selector(".banner.done")
        assert "has been asked for" in page.text_content(".banner.done")
        assert page.is_disabled(f"[data-focus='act{BAD}']")
        assert BAD in page.text_content("[data-cell=asked]")
        with connect() as connection:  # as the poller does
            connection.execute(
                "update app.requests set state = 'done', done_at = now(), message = 'under way'"
            )
        page.wait_for_selector("[data-cell=asked] >> text=under way")
        assert page.is_enabled(f"[data-focus='act{BAD}']")
        went.check()
    finally:
        with connect() as connection:
            asked = connection.execute("delete from app.requests returning subject").fetchall()
    assert asked == [(BAD,)]


def test_an_admin_takes_up_an_alert(journey: Callable[..., Journey], here: str) -> None:
    went = journey()
    page = went.sign_in("admin", "/alerts")
    page.click("[data-cell=alerts] td .link")
    page.fill("[data-form=resolve] [name=note]", "mended at the source")
    page.click("[data-form=resolve] button")
    page.wait_for_selector(".banner.done")
    page.click("[data-segment=shown][value=all]")
    page.click("[data-cell=alerts] td .link")
    page.wait_for_selector("[data-form=reopen]")
    assert "mended at the source" in page.text_content("[data-cell=events]")
    page.click("[data-form=reopen] button")
    page.wait_for_selector("[data-form=acknowledge]")
    went.check()


@pytest.mark.parametrize("role", ["admin", "librarian"])
def test_they_fit_a_phone_in_the_dark(journey: Callable[..., Journey], role: str) -> None:
    went = journey(viewport=PHONE, color_scheme="dark", is_mobile=True)
    page: Any = went.sign_in(role, "/quality")
    for path in ("/quality", "/pipelines", f"/dataset?name={HELD}", "/alerts"):
        page.goto(went.base + path)
        page.wait_for_selector("h1")
        if page.locator(".blank").count() == 0:
            page.wait_for_selector(READY)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        if role == "admin" and path.startswith("/dataset"):
            assert "lent1" in page.text_content("[data-cell=samples]")
            assert "person1" not in page.content()
    went.check()
