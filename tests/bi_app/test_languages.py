"""Pages in other languages, in a real browser: German, and one in which every message is bracketed.

The second finds what is not ready for translation: what a page shows must stand in brackets, be a
number or a date, or be data that the database holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bi_app import words
from bi_app.auth.roles import PAGES
from tests.bi_app.client import Client
from tests.bi_app.fix_app import ACCOUNTS, Served, filled, served_on
from tests.bi_app.test_accessible import ASKED, READY, grave
from tests.fix_warehouse import NONE, use
from warehouse.database import connect
from warehouse.spec import datasets

pytestmark = pytest.mark.browser
OPEN = """() => {
  for (const button of document.querySelectorAll("[data-act=table]")) button.click();
  for (const pop of document.querySelectorAll("details")) pop.open = true;
}"""
SEEN = """() => {
  const found = [];
  const shown = (node) => { for (let e = node; e && e !== document.body; e = e.parentElement) if (e.matches("script, style, noscript, time, code")) return false; return true; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { const text = walk.currentNode.textContent.trim(); if (text && shown(walk.currentNode.parentElement)) found.push(text); }
  for (const e of document.querySelectorAll("[aria-label], [placeholder], [title]"))
    for (const name of ["aria-label", "placeholder", "title"]) if (e.getAttribute(name) && shown(e)) found.push(e.getAttribute(name));
  for (const doc of window.Bokeh?.documents ?? []) for (const model of doc._all_models.values()) {
    if (model.type === "HoverTool" && typeof model.tooltips === "string") found.push(model.tooltips.replace(/<[^>]+>/g, "\\n").replace(/@\\w+(\\{[^}]*\\})?/g, " "));
    if (model.type === "FactorRange") found.push(...model.factors.map(String));
    if (model.major_label_overrides) for (const text of (model.major_label_overrides.values?.() ?? [])) found.push(String(text));
  }
  found.push(document.title);
  return [...new Set(found)];
}"""  # noqa: E501
OURS = re.compile(  # names that are the same in every language, and what Intl writes
    r"(?<!\S)/?[a-z_]+([./][a-z_*]+)+(?!\S)|(?<!\S)/[a-z_]+(?!\S)|python-httpx|csv"
    r"|Not in the catalogue: T\d+|Carrel|carrel|CSV|PDF|Excel|UTC|Dewey|EUR|GBP|English|Deutsch"
    r"|CREW|MUSTIE|Chrome|Linux|HeadlessChrome"
    r"|Mon|Tue|Wed|Thu|Fri|Sat|Sun|January|February|March|April|May|June|July|August|September"
    r"|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Oct|Nov|Dec"
    r"|(in )?[\d,]+ (days?|hours?|minutes?)( ago)?|yesterday|tomorrow|now|in \d+"
)
WORD = re.compile(r"[^\W\d_]{2,}")
SPLIT = re.compile(r'[\n·;:|–→{}"\[\]]|, |\. ')
OPTION = re.compile(r"^(.+) \([a-z_.]+\)$")  # a dataset's title with its name
STRIPPED = " .,()%▲▼…“”+`"


def outside(text: str) -> str:
    """What of a text stands outside brackets."""
    kept, depth = [], 0
    for sign in text:
        depth += (sign == "⟦") - (sign == "⟧")
        if depth == 0 and sign != "⟧":
            kept.append(sign)
    return "".join(kept)


def unready(text: str, data: set[str]) -> bool:
    """Whether a text holds words that are neither bracketed nor data."""
    said = re.sub(r" on \d{4}-\d\d-\d\d ", " today ", OPTION.sub(r"\1", outside(text)))
    for part in [said] if said in data else SPLIT.split(OURS.sub("", said)):
        words_of = part.strip(STRIPPED)
        if WORD.search(words_of) and words_of not in data:
            return True
    return False


def data_of(connection: psycopg.Connection[Any]) -> set[str]:
    """Every text that the database holds."""
    columns = connection.execute(
        "select table_schema, table_name, column_name, data_type"
        " from information_schema.columns where table_schema in"
        " ('app', 'audit', 'silver', 'gold', 'bronze', 'quality', 'ops', 'quarantine')"
    ).fetchall()
    found = {column for *_, column, _kind in columns}
    found |= {str(spec.retention.reason) for spec in datasets().values()}
    for schema, table, column, kind in columns:
        if kind not in ("text", "ARRAY", "jsonb"):
            continue
        query = sql.SQL("select distinct {}::text from {} limit 5000").format(
            sql.Identifier(column), sql.Identifier(schema, table)
        )
        for (text,) in connection.execute(query):
            found |= {*SPLIT.split(OURS.sub("", text or "")), text or ""}
    parts = {text.strip(STRIPPED) for text in found} | found
    return parts | {one.replace("_", " ").capitalize().replace("Dvd", "DVD") for one in parts} | {
        f"{part[:1].upper()}{part[1:]}" for part in parts
    }  # fmt: skip


@pytest.fixture(scope="module")
def library(template: str) -> Iterator[str]:
    """A database of this file's own: what other tests wrote is not what its pages are to show."""
    with filled("carrel_words", template) as name:
        yield name


@pytest.fixture(scope="module")
def app(library: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app on that database."""
    with served_on(library, tmp_path_factory.mktemp("words"), **ACCOUNTS) as served:
        yield served


@pytest.fixture
def speaking(library: str) -> Iterator[Callable[[str | None], None]]:
    """Let every account of the tests speak a language; none again at the end."""

    def speak(language: str | None) -> None:
        use(library)
        with connect() as connection:
            connection.execute("update app.accounts set language = %s", [language])
        use(NONE)

    yield speak
    speak(None)


@pytest.fixture
def opened(
    browser: Any, app: Served, visitor: Callable[..., Client]
) -> Iterator[Callable[..., Any]]:
    """Opens pages as a role, in a window of some size."""
    contexts: dict[tuple[Any, ...], Any] = {}

    def go(path: str, role: str = "", **options: Any) -> Any:
        key = (role, repr(options))
        if key not in contexts:
            size = options.pop("viewport", {"width": 1280, "height": 900})
            contexts[key] = browser.new_context(viewport=size, **options)
            if role:
                cookies = visitor(role).http.cookies.jar
                contexts[key].add_cookies(
                    [{"name": c.name, "value": c.value, "url": app.base} for c in cookies]
                )
        page = contexts[key].new_page()
        page.goto(f"{app.base}{path}{ASKED.get(path, '')}")
        page.wait_for_selector(READY if role and path != "/account" else "h1")
        return page

    yield go
    for context in contexts.values():
        context.close()


PSEUDO = [(path, role) for path, rule in PAGES.items() for role in sorted(rule.roles)
          if path != "/app" and (role != "librarian" or path == "/dataset")]  # fmt: skip


@pytest.fixture(scope="module")
def data(library: str) -> set[str]:
    """The database's texts, and those of specs, which stay as they are."""
    use(library)
    with connect() as connection:
        found = data_of(connection) | {words.PSEUDO}  # which these tests write into it later
    use(NONE)
    return found


def test_whatever_a_page_shows_is_ready_for_translation(
    speaking: Callable[[str | None], None], opened: Callable[..., Any], data: set[str]
) -> None:
    speaking(words.PSEUDO)
    bare: dict[str, list[str]] = {}
    for path, role in [*PSEUDO, ("/account", "admin"), ("/account", "member")]:
        page = opened(path, role)
        page.evaluate(OPEN)
        texts = page.evaluate(SEEN)
        assert len(texts) > 10, path
        found = sorted(text for text in texts if unready(text, data))
        if found:
            bare[f"{path} as {role}"] = found
        page.close()
    assert bare == {}


def test_a_page_in_german(
    speaking: Callable[[str | None], None], opened: Callable[..., Any], visitor: Callable[..., Any]
) -> None:
    speaking("de")
    page = opened("/overview", "admin")
    assert page.evaluate("document.documentElement.lang") == "de"
    assert page.title() == "Überblick · Carrel"
    assert page.locator("#menu a").first.text_content() == "Überblick"
    assert page.locator("[data-card=checkouts] .pick").text_content() == "Ausleihen"
    page.click("[data-period='30d']")
    page.wait_for_function("new URLSearchParams(location.search).get('period') === '30d'")
    page.wait_for_function("!document.body.classList.contains('busy')")
    assert "Markierung ist der Zeitraum davor" in page.text_content("[data-note=branches]")
    page.click("[data-cell=daily] [data-act=table]")
    assert re.match(r"(Mo|Di|Mi|Do|Fr|Sa|So)\., \d+\. ", page.text_content("[data-cell=daily] td"))
    assert page.evaluate(
        "[carrel.hovered(1234.5, '0,0.0'), carrel.axisCount(12500), carrel.axisCount(5000)]"
    ) == ["1.234,5", "12.500", "5.000"]
    day, hour = 86_400_000, 3_600_000
    ticks = [20_000 * day + n * 12 * hour for n in range(3)]
    for hours, written in ((False, ["4. Okt.", "", "5. Okt."]),
                           (True, ["4. Okt.", "12:00", "5. Okt."])):  # fmt: skip
        assert written == [
            page.evaluate("([t, all, hours]) => carrel.axisDay(t, all, hours)", [t, ticks, hours])
            for t in ticks
        ]
    assert page.evaluate("carrel.axisDay(Date.UTC(2026, 2, 1), [0, 31 * 864e5])") == "März 2026"
    assert grave(page) == []
    csv = visitor("admin").http.get("/download/overview/busy.csv").text
    assert csv.lstrip("\ufeff").startswith("Weekday,Hour from")


def test_an_open_page_keeps_its_language_beside_another(
    speaking: Callable[[str | None], None], opened: Callable[..., Any]
) -> None:
    speaking("de")
    german = opened("/circulation", "admin")
    speaking("en")
    english = opened("/circulation", "admin")
    for measure in ("returns", "renewals"):
        for page, title in ((german, {"returns": "Rückgaben", "renewals": "Verlängerungen"}),
                            (english, {"returns": "Returns", "renewals": "Renewals"})):  # fmt: skip
            page.click(f"[data-pick={measure}]")
            page.wait_for_function(
                "t => document.querySelector('[data-note=over_time]').textContent.startsWith(t)",
                arg=title[measure],
            )
    assert "nach Zweigstelle" in german.text_content("[data-note=said_by_branch]")
    assert "by branch" in english.text_content("[data-note=said_by_branch]")


@pytest.mark.parametrize("path", ["/overview", "/collection", "/fines", "/people", "/account"])
def test_german_fits_a_phone(
    speaking: Callable[[str | None], None], opened: Callable[..., Any], path: str
) -> None:
    speaking("de")
    page = opened(path, "admin", viewport={"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


CUT = """() => [...document.querySelectorAll('.data')].filter((data) => data.offsetWidth
    && data.scrollWidth > data.clientWidth + 1).map((data) => data.dataset.name)"""


@pytest.mark.parametrize("path", ["/branches", "/collection", "/dataset", "/fines", "/holds"])
def test_no_table_is_cut_off_in_german(
    speaking: Callable[[str | None], None], opened: Callable[..., Any], path: str
) -> None:
    speaking("de")
    page = opened(path, "admin")
    page.wait_for_selector(".data td")
    assert page.evaluate(CUT) == []
