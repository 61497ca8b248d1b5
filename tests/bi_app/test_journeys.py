"""What people do, in a real browser: sign in, choose, look up, save, sign out, as each role."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openpyxl import load_workbook

from tests.bi_app.fix_app import EMAILS, PASSWORD, Served
from warehouse.database import connect

pytestmark = pytest.mark.browser
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
READY = "html[data-ready]"


class Journey:
    """A browser window that remembers everything it asked for and complained about."""

    def __init__(self, context: Any, base: str) -> None:
        self.base, self.page = base, context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.on("websocket", lambda s: self.asked.append(s.url.replace("ws:", "http:")))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and "403" not in message.text:
            self.complaints.append(message.text)

    def sign_in(self, role: str, page: str = "/overview") -> Any:
        """Sign in with the keyboard alone and wait for the page."""
        self.page.goto(f"{self.base}{page}")
        self.page.wait_for_selector("#email:focus")
        self.page.keyboard.type(EMAILS[role])
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector(READY)
        return self.page

    def sign_out(self) -> None:
        """Use the account menu."""
        self.page.click(".account summary")
        self.page.click("text=Sign out")
        self.page.wait_for_url("**/sign-in")

    def choose(self, selector: str) -> None:
        """Click, and wait for the answer."""
        self.page.click(selector)
        self.page.wait_for_function("!document.body.classList.contains('busy')")

    def drawn(self, card: str, words: str) -> None:
        """Wait until the line below a card's title says so."""
        self.page.wait_for_selector(f"[data-note={card}]:has-text('{words}')")

    def saved(self, card: str, kind: str) -> bytes:
        """Download a card's table."""
        self.page.click(f"[data-cell={card}] summary[aria-label^=Download]")
        with self.page.expect_download() as waiting:
            self.page.click(f"[data-cell={card}] a[data-download$='.{kind}']")
        return bytes(waiting.value.path().read_bytes())

    def check(self) -> None:
        """Nothing from elsewhere, and no complaint."""
        strange = [u for u in self.asked if not u.startswith((self.base, "data:", "blob:"))]
        assert strange == []
        assert self.complaints == []


@pytest.fixture
def journey(browser: Any, app: Served) -> Iterator[Callable[..., Journey]]:
    contexts: list[Any] = []

    def start(**options: Any) -> Journey:
        context = browser.new_context(viewport=options.pop("viewport", DESKTOP), **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        return Journey(context, app.base)

    yield start
    for context in contexts:
        context.close()


def value(page: Any, card: str) -> int:
    """The figure on a card."""
    return int(page.text_content(f"[data-card={card}] .value").replace(",", ""))


@pytest.mark.parametrize("role", ["admin", "librarian", "member"])
def test_sign_in_filter_save_sign_out(journey: Callable[..., Journey], role: str) -> None:
    went = journey()
    page = went.sign_in(role)
    assert "all changes before 1 Nov 2026, 02:10, quality 97" in page.text_content(".fresh")
    year = value(page, "checkouts")
    went.choose("[data-period='30d']")
    month = value(page, "checkouts")
    assert 0 < month < year
    assert "period=30d" in page.url
    went.choose("[data-pick=returns]")
    assert page.get_attribute("[data-card=returns] .pick", "aria-pressed") == "true"
    rows = list(csv.DictReader(io.StringIO(went.saved("daily", "csv").decode("utf-8-sig"))))
    assert len(rows) == 30
    assert sum(int(r["Checkouts"]) for r in rows) == month
    book = load_workbook(io.BytesIO(went.saved("titles", "xlsx")))
    assert book.worksheets[0].max_row > 10
    went.sign_out()
    page.goto(f"{went.base}/overview")
    assert "/sign-in" in page.url
    went.check()


def test_choices_come_back_with_the_address(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("admin")
    page.click(".choose summary")
    went.choose("[data-branch=BEL]")
    went.choose("[data-period='90d']")
    seen = value(page, "checkouts")
    page.reload()
    page.wait_for_selector(READY)
    assert value(page, "checkouts") == seen
    assert page.text_content("[data-branch-label]") == "Bellmere"
    went.choose("[data-reset]")
    assert "branch" not in page.url
    went.check()


def test_the_strip_moves_the_period_and_a_bar_chooses_a_branch(
    journey: Callable[..., Journey],
) -> None:
    went = journey()
    page = went.sign_in("admin")
    before = page.input_value("[data-day=start]")
    page.evaluate(
        "() => { const r = window.carrel.source('daily_range');"
        " r.setv({start: r.start - 20 * 864e5, end: r.end - 20 * 864e5}) }"
    )
    page.wait_for_function(f"document.querySelector('[data-day=start]').value !== '{before}'")
    assert page.get_attribute("[data-period='12m']", "aria-pressed") == "false"
    chart = page.locator("[data-cell=branches] .plot").bounding_box()
    page.mouse.click(chart["x"] + chart["width"] * 0.35, chart["y"] + 22)
    page.wait_for_function(
        "document.querySelector('[data-branch-label]').textContent === 'Ashgrove'"
    )
    went.check()


WHOLE_ROWS = """card => {
    const box = document.querySelector(`[data-cell=${card}] .data`);
    const edge = box.getBoundingClientRect().bottom;
    return [...box.querySelectorAll("tbody tr")].every((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return bottom <= edge + 1.5 || top >= edge - 1.5;
    });
}"""


def test_each_chart_has_its_table_and_its_definition(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("admin")
    went.choose("[data-period='7d']")
    for card, rows in {"daily": 7, "busy": 84, "branches": 4}.items():
        page.click(f"[data-cell={card}] [data-act=table]")
        assert page.locator(f"[data-cell={card}] tbody tr").count() == rows
        assert page.evaluate(WHOLE_ROWS, card)
        page.click(f"[data-cell={card}] summary[aria-label^=Definition]")
        assert page.is_visible(f"[data-cell={card}] details[open] .pop-body p")
        page.keyboard.press("Escape")
    page.click("[data-card=renewals] summary")
    assert "due date was moved on" in page.text_content("[data-card=renewals] .pop-body")
    went.check()


def test_the_title_table_sorts_searches_and_pages(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("librarian")
    cell = page.locator("[data-cell=titles]")
    first = cell.locator("tbody tr").first
    assert first.locator("td").nth(0).text_content() == "1"
    cell.get_by_role("button", name="Copies").click()
    copies = [int(t) for t in cell.locator("tbody td:last-child").all_text_contents()]
    assert copies == sorted(copies, reverse=True)
    cell.get_by_role("button", name="Next rows").click()
    assert cell.locator(".pager span").text_content().startswith("11")
    cell.get_by_label("Search in Top titles").fill("no such title at all")
    assert "No row matches" in cell.text_content()
    went.check()


def test_a_page_of_another_role_is_a_friendly_403(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("member")
    own = ["Overview", "My loans", "My history", "My data"]
    assert page.locator(".menu a").all_text_contents() == own
    answer = page.goto(f"{went.base}/explore")
    assert answer.status == 403
    assert "not yours to open" in page.text_content("main")
    page.click("text=Go back")
    page.wait_for_selector(READY)
    went.check()


def test_a_member_finds_the_own_loans(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("member", "/my_loans")
    assert value(page, "on_loan") == 2
    assert page.text_content("[data-card=owed] .value") == "2.25"
    assert page.locator("[data-cell=past] tbody tr").count() == 1
    text = went.saved("loans", "csv").decode("utf-8-sig")
    assert "'=1+1" in text
    went.check()


def test_staff_explore_any_table(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("librarian", "/explore?table=gold.library_titles")
    assert "300 rows of gold.library_titles" in page.text_content("[data-note=rows]")
    first = page.text_content("[data-cell=rows] tbody td")
    went.choose("[data-cell=rows] [aria-label='Next rows']")
    assert page.text_content("[data-cell=rows] tbody td") != first
    went.choose("button:has-text('Summarise')")
    went.drawn("groups", "Rows by collection_code")
    page.select_option("select[aria-label='Add a figure']", "sum:copies")
    went.drawn("groups", "Rows, Sum of copies by collection_code")
    went.choose("[data-cell=groups] [data-act=table]")
    assert page.locator("[data-cell=groups] th").count() == 3
    page.click("summary:has-text('Add a filter')")
    page.select_option(".adder [name=column]", "copies")
    page.select_option(".adder [name=operator]", "ge")
    page.fill(".adder [name=value]", "99")
    page.press(".adder [name=value]", "Enter")
    went.drawn("groups", "copies from 99 on")
    assert "filter=copies%3Age%3A99" in page.url
    page.click("[data-chip='copies:ge:99']")
    went.drawn("groups", "Rows, Sum of copies by collection_code; 300 rows")
    text = went.saved("groups", "csv").decode("utf-8-sig")
    assert text.splitlines()[0] == "collection_code,Rows,Sum of copies"
    page.select_option("[data-choose=table]", "silver.library_items")
    page.wait_for_function(
        "[...document.querySelectorAll('[data-note]')].some(n => n.offsetParent &&"
        " n.textContent.includes('rows of silver.library_items'))"
    )
    assert "member_key" not in page.content()
    went.check()


def test_a_view_is_saved_shared_and_opened_and_a_summary_becomes_a_card(
    journey: Callable[..., Journey],
) -> None:
    went = journey()
    page = went.sign_in("admin", "/circulation?period=30d&branch=CEN")
    page.click(".saved summary")
    page.fill(".saved [name=name]", "My month")
    page.press(".saved [name=name]", "Enter")
    page.wait_for_selector(".views a:has-text('My month')")
    page.click(".views button:has-text('Share')")
    page.wait_for_selector(".views button:has-text('Stop sharing')")
    page.click(".views button:has-text('Rename')")
    page.fill(".views [name=rename]", "The month at the centre")
    page.press(".views [name=rename]", "Enter")
    with page.expect_navigation():
        page.click(".views a:has-text('The month at the centre')")
    page.wait_for_selector("html[data-ready] [data-period='30d'][aria-pressed=true]")
    assert "branch=CEN" in page.url
    page.click(".saved summary")
    page.click(".views button:has-text('Delete')")
    page.wait_for_selector(".saved p:has-text('No saved views')")
    asked = "table=gold.library_circulation&face=summary&measure=sum:checkouts&by=branch_code"
    page.goto(f"{went.base}/explore?{asked}")
    page.click(".saved summary")
    page.fill(".saved [name=name]", "By branch")
    page.click(".saved button:has-text('Save as card')")
    page.wait_for_selector(".saved .said.good")
    page.goto(f"{went.base}/cards")
    page.wait_for_selector("[data-cell^=card_] .card-bars tr")
    card = page.locator("[data-cell^=card_]", has_text="By branch")
    assert "all changes before" in card.locator(".card-foot").text_content()
    assert "by=branch_code" in card.locator("a.button").get_attribute("href")
    card.locator("button:has-text('Remove')").click()
    page.wait_for_selector("a[href^='/explore?face=summary']")
    went.check()


def test_what_is_typed_stays_when_the_list_of_views_answers_meanwhile(
    journey: Callable[..., Journey],
) -> None:
    went = journey()
    page = went.sign_in("librarian", "/circulation")
    page.click(".saved summary")
    page.click(".saved [name=name]")
    page.keyboard.type("My ")
    for word in ("busy ", "weeks"):
        page.wait_for_selector(".views, .saved p:has-text('No saved views')")
        at = page.evaluate("() => { carrel.act({act: 'views'}); return carrel.model().act.at }")
        page.wait_for_function("at => carrel.model().views.at === at", arg=at)
        page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done)))")
        page.keyboard.type(word)
    assert page.input_value(".saved [name=name]") == "My busy weeks"
    page.keyboard.press("Enter")
    page.wait_for_selector(".views a:has-text('My busy weeks')")
    assert page.input_value(".saved [name=name]") == ""
    page.click(".views button:has-text('Rename')")
    page.fill(".views [name=rename]", "")
    page.keyboard.type("Weeks")
    page.evaluate("() => carrel.act({act: 'views'})")
    page.wait_for_function("carrel.model().views.at === carrel.model().act.at")
    page.keyboard.press("Enter")
    page.wait_for_selector(".views a:text-is('Weeks')")
    page.wait_for_selector(".views button:has-text('Rename'):focus")
    page.click(".views button:has-text('Delete')")
    page.wait_for_selector(".saved p:has-text('No saved views')")
    page.wait_for_selector(".saved [name=name]:focus")
    went.check()


WITHIN = """() => {
    const box = document.querySelector("details[open] .pop-body").getBoundingClientRect();
    return box.width && box.left >= 0 && box.right <= innerWidth;
}"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pop_ups_stay_in_the_window(journey: Callable[..., Journey], size: Any) -> None:
    went = journey(viewport=size)
    page = went.sign_in("admin")
    opened = page.locator("main details.pop > summary")
    assert opened.count() > 10
    for at in range(opened.count()):
        opened.nth(at).click()
        page.wait_for_function(WITHIN)
        page.keyboard.press("Escape")
    went.saved("daily", "csv")
    assert page.locator("details[open]").count() == 0
    went.check()


def test_it_fits_a_phone_and_turns_dark(journey: Callable[..., Journey]) -> None:
    went = journey(viewport=PHONE, color_scheme="dark", is_mobile=True)
    page = went.sign_in("admin")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("[data-act=theme]")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.click("[data-act=menu]")
    assert page.is_visible(".menu a[href='/explore']")
    went.check()


def test_the_keyboard_reaches_everything_and_focus_is_seen(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("admin")
    page.wait_for_timeout(1600)
    seen: list[str] = []
    for _ in range(45):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " const a = getComputedStyle(e, '::after');"
            " return [e.getAttribute('aria-label') || e.textContent.trim() || e.dataset.day,"
            "  s.outlineStyle !== 'none' || a.outlineStyle !== 'none'"
            "  || getComputedStyle(e.closest('.field') || e).boxShadow.includes('2px')] }"
        )
        seen.append(here[0])
        assert here[1], f"focus on {here[0]!r} is not seen"
    text = " | ".join(seen)
    for wanted in (
        "Skip to the figures",
        "30 days",
        "Renewals",
        "Table behind Each day",
        "Download",
    ):
        assert wanted in text
    went.check()


def test_a_lost_session_is_told(journey: Callable[..., Journey]) -> None:
    went = journey()
    page = went.sign_in("admin")
    other = page.context.new_page()
    other.goto(f"{went.base}/overview")
    other.wait_for_selector(READY)
    other.click(".account summary")
    other.click("text=Sign out")
    page.wait_for_selector("text=lost its connection")
    assert re.search("signed out", page.text_content("[data-place=veil]"))


def test_figures_that_are_held_back_say_so(journey: Callable[..., Journey], here: str) -> None:
    with connect() as connection:
        connection.execute(
            "insert into quality.verdicts (dataset, outcome, checks, passed)"
            " values ('library_loan_events', 'failed', 34, 30)"
        )
    try:
        went = journey()
        page = went.sign_in("admin")
        assert page.text_content(".fresh.held summary").startswith("Held back: all changes before")
        page.click(".fresh summary")
        assert "failed its contract" in page.text_content(".fresh .pop-body")
        went.check()
    finally:
        with connect() as connection:
            connection.execute("delete from quality.verdicts where checks = 34 and passed = 30")
