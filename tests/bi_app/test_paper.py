"""Reports as PDF: what they say and draw, whose rows they count, and that it is on record."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from bi_app import words as spoken
from bi_app.api import tables
from bi_app.charts.theme import SERIES
from bi_app.models.export import WRITERS
from bi_app.models.freshness import Freshness
from bi_app.models.paper import drawing, fonts, words
from bi_app.models.paper.content import Paper, Section, paper
from bi_app.models.paper.drawing import COLOURS, Drawing, nice, short
from bi_app.models.paper.pages import OVERVIEW, PAGES, PRINTED
from bi_app.models.paper.sheet import MOST_ROWS
from bi_app.models.table import Column, Table
from bi_app.words import _
from tests.bi_app.client import Client
from tests.bi_app.fix_app import EMAILS
from tests.bi_app.pdf_text import pages as text_of
from tests.bi_app.test_models import ADMIN, LIBRARIAN
from warehouse.database import connect

Setting = Callable[..., None]
NOW = dt.datetime(2026, 11, 22, 7, 0, tzinfo=dt.UTC)
FRESH = Freshness(NOW, 97, 10, 10, ())
GERMAN = {"overview": "Überblick", "holds": "Vormerkungen", "branches": "Zweigstellen"}
SCRIPTS = "Zażółć gęślą jaźń, Ελληνικά, Война и мир, Đặng, Íslenska, Țară"


def flat(body: bytes) -> str:
    """All text of a PDF on one line."""
    return " ".join(" ".join(text_of(body)).split())


def sheet_of(table: Table, chart: Drawing | None = None, **more: Any) -> Paper:
    """A report of one table."""
    found = Paper(
        "circulation", "Circulation", "Admin", ["Period: 2026-01-01 to 2026-02-01"], [],
        [Section(table, chart)], FRESH, "checkouts", NOW,
    )  # fmt: skip
    return replace(found, **more)


def listed(names: list[str], values: list[Any], told: list[str] | None = None) -> Table:
    """Counts by name."""
    columns = [Column("name", "Name"), Column("value", "Count", "integer")]
    data: dict[str, list[Any]] = {"name": names, "value": values}
    if told:
        columns.append(Column("told", "", "badge"))
        data["told"] = told
    return Table("listed", "Counts by name", columns, data, ["What it means."])


# What it says -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_each_page_prints_its_own_figures(here: str, page: str) -> None:
    found = paper(ADMIN, page, {})
    text = flat(found.pdf())
    assert found.title in text
    assert "For: Admin" in text
    assert found.standing.rstrip(".") in text
    for one in found.cards:
        assert str(one["title"])[:20] in text
        assert str(one["value"]) in text
        assert " ".join(str(one["definition"]).split())[:60] in text
    for section in found.sections:
        assert section.table.title in text


@pytest.mark.parametrize("page", PAGES)
def test_a_pdf_is_in_the_language_that_is_spoken(here: str, page: str) -> None:
    with spoken.speaking("de"):
        found = paper(ADMIN, page, {})
        body = found.pdf()
        titles = [_(section.table.title) for section in found.sections]
        heads = {_(c.title) for s in found.sections for c in s.table.columns if c.kind != "spark"}
    text = flat(body)
    assert b"/Lang (de" in body
    assert found.title == GERMAN.get(page, found.title)
    assert "Für: Admin" in text
    assert re.search(r"Seite 1 von \d", text)
    assert re.search(r"erstellt \d+\. \w+\.? \d{4}, \d\d:\d\d", text)
    for said in (found.title, *titles, *(max(h.split(), key=len) for h in heads if h)):
        assert said in text, said
    english = r"Period:|Branches:|As of|What the figures|period before|withheld|The first|highest"
    assert re.findall(english, text) == []
    assert re.findall(r"\d{4}-\d\d-\d\d", text.replace(found.files_name, "")) == []


def test_every_report_page_can_be_printed() -> None:
    assert {report.name for report in tables.REPORTS} | {OVERVIEW} == set(PAGES)
    for one in PRINTED.values():
        assert set(one.drawings) <= set(one.report.measures)


def test_the_chosen_filters_are_said_in_words(here: str) -> None:
    asked = {"period": [b"30d"], "branch": [b"CEN"], "measure": [b"renewals"], "item_type": [b""]}
    text = flat(paper(ADMIN, "circulation", asked).pdf())
    assert "Branches: Central" in text
    assert "Measure: Renewals" in text
    assert "Material: All" in text


def test_a_librarian_is_told_of_the_own_branches_and_no_name_is_on_it(here: str) -> None:
    found = paper(LIBRARIAN, "circulation", {})
    text = flat(found.pdf())
    assert f"For: Librarian, {found.audience.partition(', ')[2]}" in text
    assert EMAILS["librarian"] not in text
    everything = paper(ADMIN, "circulation", {})
    own, all_of_it = (
        next(s.table for s in p.sections if s.table.name == "by_branch")
        for p in (found, everything)
    )
    assert set(own.data["code"]) < set(all_of_it.data["code"])


def test_titles_metadata_and_language(here: str) -> None:
    body = paper(ADMIN, "annual_return", {}).pdf()
    assert b"/Lang (en-GB)" in body
    assert b"/DisplayDocTitle true" in body
    assert b"/Title" in body
    assert b"/Outlines" in body


@pytest.mark.parametrize(("size", "box"), [("A4", b"595.28 841.89"), ("Letter", b"612 792")])
def test_the_paper_is_that_of_the_settings(
    setting: Setting, size: str, box: bytes, template: str
) -> None:
    setting(paper=size)
    body = sheet_of(listed(["a"], [1])).pdf()
    assert b"/MediaBox [0 0 %s" % box in body.replace(b".00", b"")


# Letters ------------------------------------------------------------------------------------------


def test_letters_of_many_scripts_are_drawn() -> None:
    text = flat(sheet_of(listed([SCRIPTS], [1])).pdf())
    assert SCRIPTS in text
    assert "question marks" not in text


def test_letters_that_no_font_has_are_marked_and_counted() -> None:
    text = flat(sheet_of(listed(["紅樓夢 (Dream)"], [1])).pdf())
    assert "??? (Dream)" in text
    assert "3 letters of scripts that the fonts lack" in text


def test_a_font_of_the_settings_adds_letters(setting: Setting) -> None:
    more = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not more.exists():
        pytest.skip("no font with Hebrew here")
    setting(pdf_font=more)
    fonts.own.cache_clear()
    fonts.letters.cache_clear()
    try:
        text = flat(sheet_of(listed(["שלום"], [1])).pdf())
        assert "?" not in text
        assert set("שלום") <= set(text)
    finally:
        fonts.own.cache_clear()
        fonts.letters.cache_clear()


@pytest.mark.parametrize(
    "name",
    ["=1+1", "**bold** __x__", "{nb} {pages}", "<b>tag</b>", "a\x00b\nc\td", "\u202eabc", "\\(\\)",
     "x" * 5000, ""],
)  # fmt: skip
def test_text_is_shown_as_it_is(name: str) -> None:
    text = flat(sheet_of(listed([name], [1]), Drawing("bars", "name")).pdf())
    flattened = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    assert flattened[:20] in text


# Tables -------------------------------------------------------------------------------------------


def test_a_long_table_is_cut_says_so_and_repeats_its_head() -> None:
    names = [f"Title {n}" for n in range(1234)]
    body = sheet_of(listed(names, list(range(1234)))).pdf()
    whole = text_of(body)
    assert len(whole) > 2
    assert all("Name" in page.splitlines() for page in whole[:2])
    text = flat(body)
    assert f"The first {MOST_ROWS} of 1,234 rows; the Excel file" in text
    assert f"Title {MOST_ROWS - 1}" in text
    assert f"Title {MOST_ROWS}" not in text
    assert f"Page {len(whole)} of {len(whole)}" in text


def test_thousands_are_separated_and_the_withheld_says_so() -> None:
    told = listed(["a", "b", "c"], [1234567, None, None], ["|", "warn|withheld", "|"])
    lines = "\n".join(text_of(sheet_of(told).pdf())).splitlines()
    assert "1,234,567" in lines
    assert lines[lines.index("b") + 1] == "withheld"
    assert lines[lines.index("c") + 1] == "–"


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (1234.5, "number", "1,234.5"),
        (1234.5, "money", "1,234.50"),
        (0.123, "ratio", "0.12"),
        (float("nan"), "number", "–"),
        (dt.date(2026, 3, 1), "date", "1 Mar 2026"),
        (dt.datetime(2026, 3, 1, 8, 5), "datetime", "1 Mar 2026, 08:05"),
        ("ok|Passed", "badge", "Passed"),
        ("/x|Open", "link", "Open"),
        (None, "text", "–"),
    ],
)
def test_values_as_people_read_them(value: Any, kind: Any, said: str) -> None:
    assert words.written(value, Column("x", "X", kind)) == said


def test_held_back_figures_say_so() -> None:
    held = Freshness(NOW, 80, 10, 8, ("library_loan_events",))
    text = flat(sheet_of(listed(["a"], [1]), freshness=held).pdf())
    assert "Held back: all changes before" in text
    assert "failed its contract and is held back" in text


# Charts -------------------------------------------------------------------------------------------


def test_colours_are_those_of_the_pages() -> None:
    for name, colour in SERIES.items():
        assert COLOURS[name] == tuple(bytes.fromhex(colour[1:]))


def test_axes_end_at_round_figures() -> None:
    assert [nice(v) for v in (0, 0.7, 1, 7, 101, 999, 12345)] == [1, 0.8, 1, 8, 120, 1000, 16000]
    assert [short(v) for v in (0, 950, 1200, 2_500_000)] == ["0", "950", "1.2k", "2.5m"]


@pytest.mark.parametrize("kind", ["columns", "bars", "heat"])
@pytest.mark.parametrize(
    "values", [[], [0, 0], [None, None], [5], [1, None, 3], [float("nan"), 2], list(range(1500))]
)
def test_any_numbers_can_be_drawn(kind: Any, values: list[Any]) -> None:
    names = [f"n{i}" for i in range(len(values))]
    table = listed(names, values)
    row = "name" if kind == "heat" else ""
    body = sheet_of(table, Drawing(kind, "name", row=row, more="value", line=2)).pdf()
    assert body.startswith(b"%PDF")


def test_what_is_withheld_is_hatched(monkeypatch: pytest.MonkeyPatch) -> None:
    hatched: list[tuple[float, ...]] = []
    real = drawing.hatch
    monkeypatch.setattr(drawing, "hatch", lambda s, *box: (hatched.append(box), real(s, *box)))
    told = listed(["a", "b", "c"], [3, None, None], ["|", "warn|withheld", "|"])
    sheet_of(told, Drawing("bars", "name")).pdf()
    sheet_of(told, Drawing("columns", "name")).pdf()
    assert len(hatched) == 2


# The doors ----------------------------------------------------------------------------------------


def test_the_page_offers_its_pdf_with_the_same_rights(
    visitor: Callable[..., Client], library: str
) -> None:
    client = visitor("librarian")
    page = client.http.get("/circulation").text
    assert 'href="/download/circulation.pdf"' in page
    assert 'href="/download/circulation/by_branch.pdf"' in page
    answer = client.http.get("/download/circulation.pdf?measure=renewals")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert "carrel-circulation-" in answer.headers["content-disposition"]
    text = flat(answer.content)
    assert "For: Librarian" in text
    assert "Measure: Renewals" in text
    one = client.http.get("/download/circulation/by_branch.pdf").content
    assert "by branch" in flat(one)
    assert "by Dewey class" not in flat(one)
    book = openpyxl.load_workbook(io.BytesIO(client.http.get("/download/circulation.xlsx").content))
    assert len(book.sheetnames) == 5
    assert book.sheetnames[-1] == "About"


def test_strangers_and_other_roles_get_none(visitor: Callable[..., Client]) -> None:
    assert visitor().http.get("/download/circulation.pdf").status_code == 302
    member = visitor("member")
    assert member.http.get("/download/circulation.pdf").status_code == 403
    assert member.http.get("/download/overview.pdf").status_code == 200
    assert member.http.get("/download/my_loans.pdf").status_code == 403
    assert member.http.get("/download/overview/nonsense.pdf").status_code == 404
    assert visitor("admin").http.get("/download/people.pdf").status_code == 403


def test_each_file_is_on_record(visitor: Callable[..., Client], library: str, here: str) -> None:
    visitor("admin").http.get("/download/fines.pdf")
    with connect() as db:
        row = db.execute(
            "select who, door, subject, outcome, details ->> 'kind', details ->> 'table'"
            " from audit.entries where act = 'export' and subject = '/fines' order by entry_id desc"
        ).fetchone()
    assert row == (EMAILS["admin"], "export", "/fines", "done", "pdf", "all")


def test_a_workbook_of_one_table_is_as_before() -> None:
    book = openpyxl.load_workbook(io.BytesIO(WRITERS["xlsx"][1](listed(["a"], [1]))))
    assert book.sheetnames == ["Counts by name", "About"]
    assert [c.value for c in book["Counts by name"][2]] == ["a", 1]


def test_a_long_table_along_time_shows_its_newest_rows() -> None:
    names = [f"Day {n}" for n in range(300)]
    text = flat(sheet_of(listed(names, list(range(300))), Drawing("columns", "name")).pdf())
    assert f"The last {MOST_ROWS} of 300 rows" in text
    assert "Day 299" in text
    assert "Day 199 199" not in text
