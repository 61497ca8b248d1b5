"""From a failing check to its records, mended and sent again, to a green check: in one sitting.

It takes longer than other tests: it loads, serves the app, and runs a replay, all for real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flows.ingest import ingest
from tests.bi_app.fix_sitting import Sitting, sitting
from tests.bi_app.test_journeys import DESKTOP, READY, Journey
from tests.flows.fix_desk import desk

__all__ = ["desk", "sitting"]
pytestmark = pytest.mark.browser
CHECK = "few records of the last run in quarantine"
DAILY = "select day::text, loans from gold.desk_daily order by 1"


@pytest.fixture
def seat(browser: Any, sitting: Sitting) -> Iterator[Callable[..., Journey]]:
    contexts: list[Any] = []

    def start(**options: Any) -> Journey:
        context = browser.new_context(**{"viewport": DESKTOP} | options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        return Journey(context, sitting.base)

    yield start
    for context in contexts:
        context.close()


def test_a_failing_check_becomes_green_in_one_sitting(
    seat: Callable[..., Journey], sitting: Sitting
) -> None:
    assert sitting.desk.rows(DAILY) == [("2024-03-01", 1)]
    went = seat()
    page = went.sign_in("admin", "/quality")
    row = page.locator("[data-cell=failing] tbody tr", has_text=CHECK)
    assert row.locator(".badge").text_content() == "critical"
    row.locator("a", has_text=CHECK).click()
    page.wait_for_selector(READY)
    assert page.text_content("[data-card=outcome] .value") == "Held back"
    page.click("[data-cell=repair] .button.primary")
    page.wait_for_selector("[data-cell=repair] .records")
    assert page.locator("[data-cell=repair] tbody tr").count() == 2
    page.fill("[aria-label='lent_at of loans.csv:3']", "2024-03-05 11:00:00")
    page.fill("[aria-label='loan_id of loans.csv:5']", "4")
    page.click("text=Send 2 edited records again")
    page.wait_for_selector("[data-cell=repair] .said.good")
    assert "gold.desk_daily" in page.text_content("[data-cell=repair] .said.good")
    assert page.locator("[data-cell=repair] .progress .done").count() == 5
    assert page.text_content("[data-card=outcome] .value") == "Trusted"
    checks = page.locator("[data-cell=checks] tbody tr", has_text=CHECK)
    assert checks.locator(".badge.good").text_content() == "holds"
    page.goto(f"{went.base}/quality")
    page.wait_for_selector(READY)
    page.wait_for_selector("[data-cell=failing] .none")
    went.check()
    days = [("2024-03-01", 1), ("2024-03-02", 2), ("2024-03-05", 1)]
    assert sitting.desk.rows(DAILY) == days
    assert sitting.desk.rows("select count(*) from app.held_records") == [(0,)]
    ((who, state, edited),) = sitting.desk.rows(
        "select asked_by, state, detail -> 'edited' from app.requests"
        " where action = 'replay' and run_id in (select run_id from ops.loads)"
    )
    assert (who, state) == ("admin@carrel.example", "done")
    assert [(line, columns) for _, line, columns in edited] == [(3, ["lent_at"]), (5, ["loan_id"])]
    assert sitting.desk.rows("select count(*) from ops.replays where edited") == [(2,)]

    publish_anyway(seat, sitting, went)


def publish_anyway(seat: Callable[..., Journey], sitting: Sitting, went: Journey) -> None:
    """The next load is bad too; an admin publishes it, and a librarian reads who and why."""
    sitting.desk.file("loans", "7,a,2024-03-07 10:00:00", "8,b,never")
    ingest.fn("desk_loans")
    page = went.page
    page.goto(f"{went.base}/dataset?name=desk_loans")
    page.fill("[data-form=publish] [name=reason]", "the till was down; counts agree")
    page.click("[data-form=publish] button")
    page.wait_for_selector("[data-cell=override] .said")
    assert page.text_content("[data-card=outcome] .value") == "With warnings"
    went.check()
    assert ("2024-03-07", 1) in sitting.desk.rows(DAILY)
    other = seat()
    page = other.sign_in("librarian", "/dataset?name=desk_loans")
    said = page.text_content("[data-cell=override] .said")
    assert "admin@carrel.example" in said
    assert "the till was down; counts agree" in said
    assert page.locator("[data-cell=repair]").is_hidden()
    assert page.locator("[data-cell=override] form").count() == 0
    other.check()
