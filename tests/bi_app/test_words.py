"""Messages, their catalogues, and numbers and dates by locale."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from bi_app import words
from bi_app.api.tables import overview as overview_table
from bi_app.models.export import to_csv
from bi_app.pages import overview
from bi_app.words import Joined, _, extract, joined, ngettext
from tests.bi_app.test_pages import signed_in

CATALOGUES = sorted(words.HERE.glob("*/LC_MESSAGES/carrel.po"))
PLACE = re.compile(r"\{[^}]*\}|@\w+|<[^>]+>|`carrel [^`]+`|carrel [a-z]+ \S+")


@pytest.fixture(scope="module")
def source() -> Catalog:
    return extract.extracted()


@pytest.fixture(params=CATALOGUES, ids=[p.parent.parent.name for p in CATALOGUES])
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    path: Path = request.param
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def messages(catalog: Catalog) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each message: its forms in English, and in the language."""
    for message in catalog:
        if message.id:
            ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            yield tuple(ids), tuple(str(t or "") for t in texts)


def test_a_catalogue_holds_the_messages_of_the_source(source: Catalog, catalogue: Catalog) -> None:
    wanted, there = ({ids for ids, _texts in messages(c)} for c in (source, catalogue))
    assert sorted(wanted - there) == [], "run `make words` and translate"
    assert sorted(there - wanted) == [], "run `make words`: these are used no more"
    assert catalogue.obsolete == {}
    for message in catalogue:
        assert {path for path, _line in message.locations} == {
            path for path, _line in (source.get(message.id) or message).locations
        }, f"run `make words`: {message.id!r} stands elsewhere"


def test_every_message_is_translated(catalogue: Catalog) -> None:
    assert [m.id for m in catalogue if m.fuzzy and m.id] == []
    assert [ids for ids, texts in messages(catalogue) if not all(texts)] == []
    forms = catalogue.num_plurals
    assert [ids for ids, texts in messages(catalogue) if len(ids) > 1 and len(texts) != forms] == []


def test_placeholders_are_those_of_the_message(catalogue: Catalog) -> None:
    for ids, texts in messages(catalogue):
        for text in texts:
            assert sorted(PLACE.findall(text)) in [sorted(PLACE.findall(one)) for one in ids], ids


def test_a_translation_keeps_the_ends_of_its_message(catalogue: Catalog) -> None:
    for ids, texts in messages(catalogue):
        for text in texts:
            assert [text[0] == " ", text[-1] == " "] == [ids[0][0] == " ", ids[0][-1] == " "], ids
            short = text.endswith(("Min.", "Std."))
            assert short or (text[-1] == ".") == (ids[-1][-1] == "."), ids


def test_the_browser_gets_the_words_of_its_script(source: Catalog) -> None:
    scripts = (words.HERE.parent / "assets").glob("*.js")
    script = "\n".join(path.read_text("utf-8") for path in scripts)
    called = re.findall(r'(?<!\w)(?:_|ngettext)\("((?:[^"\\]|\\.)*)"', script)
    with words.speaking("de"):
        sent = words.script_words()
    assert set(called) == set(sent["messages"])
    assert len(called) > 50
    assert words.script_words() == {}


def test_a_message_in_each_language() -> None:
    assert _("Sign in") == "Sign in"
    with words.speaking("de"):
        assert _("Sign in") == "Anmelden"
        assert _("More than {limit} holds a copy, at all branches together", limit=1200) == (
            "Mehr als 1.200 Vormerkungen je Exemplar, alle Zweigstellen zusammen"
        )
        assert ngettext("{count} day", "{count} days", 1) == "1 Tag"
        assert ngettext("{count} day", "{count} days", 1200) == "1.200 Tage"
        assert _("Eine Überschrift aus Daten") == "Eine Überschrift aus Daten"
        with words.speaking("en"):
            assert _("Sign in") == "Sign in"
        assert words.language() == "de"
    assert ngettext("{count} day", "{count} days", 1) == "1 day"
    assert ngettext("{count} day", "{count} days", 1200) == "1,200 days"


def test_joined_messages_are_translated_one_by_one() -> None:
    text = joined(words.N_("Overdue"), joined("Holds", "Sign in"))
    assert text == "Overdue Holds Sign in"
    assert isinstance(text, Joined)
    with words.speaking("de"):
        assert _(text) == "Überfällig Vormerkungen Anmelden"


def test_the_pseudo_language_brackets_every_message() -> None:
    with words.speaking(words.PSEUDO):
        assert _("Sign in") == "⟦Sign in⟧"
        assert _("data") == "data"
        assert words.tag() == "en-x-pseudo"


NIGHT = dt.datetime(2026, 3, 3, 2, 5, tzinfo=dt.UTC)
WRITTEN = {
    "en": ("1,234,567", "-1,234.5", "12.3 %", "3 Mar 2026", "March 2026", "Tue, 3 Mar 2026",
           "3 Mar 2026, 02:05", "Mon"),
    "de": ("1.234.567", "-1.234,5", "12,3 %", "3. März 2026", "März 2026", "Di., 3. März 2026",
           "3. März 2026, 02:05", "Mo"),
}  # fmt: skip


@pytest.mark.parametrize("language", WRITTEN)
def test_numbers_and_dates_are_written_by_the_locale(language: str) -> None:
    with words.speaking(language):
        assert (
            words.whole(1_234_567), words.decimal(-1234.5), words.percent(12.34), words.day(NIGHT),
            words.full_month(NIGHT), words.weekday_day(NIGHT), words.moment(NIGHT),
            words.weekday(0),
        ) == WRITTEN[language]  # fmt: skip


@pytest.mark.parametrize(
    ("english", "german"),
    [("1 day", "1 Tag"), ("30 days", "30 Tage"), ("2 weeks", "2 Wochen"), ("1 month", "1 Monat"),
     ("12 months", "12 Monate"), ("1 year", "1 Jahr"), ("3 years", "3 Jahre")],
)  # fmt: skip
def test_a_span_of_a_spec_is_said_in_the_language(english: str, german: str) -> None:
    assert words.span(english) == english
    with words.speaking("de"):
        assert words.span(english) == german


def test_money_is_written_by_the_locale() -> None:
    with words.speaking("de"):
        assert words.money(Decimal("1234.5"), "EUR").replace("\N{NO-BREAK SPACE}", " ") == (
            "1.234,50 €"
        )


@pytest.mark.parametrize(
    ("own", "accepted", "spoken"),
    [
        ("de", "en", "de"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "fr, en;q=0.5, de;q=0.7", "de"),
        ("", "fr,es", "en"),
        ("", "de;q=0", "en"),
        ("", "de;q=nonsense, *", "en"),
        ("xx", "", "en"),
        ("", ",;q=" * 1000, "en"),
    ],
)
def test_a_language_is_chosen(own: str, accepted: str, spoken: str) -> None:
    assert words.choose(own, accepted) == spoken


def test_the_setting_speaks_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    class German:
        language = "de"

    monkeypatch.setattr(words, "settings", German)
    assert words.choose("", "fr") == "de"
    assert words.choose("", "en") == "en"


def test_a_thread_of_its_own_speaks_english() -> None:
    heard: list[str] = []
    with words.speaking("de"):
        thread = threading.Thread(target=lambda: heard.append(words.language()))
        thread.start()
        thread.join()
    assert heard == ["en"]


# Two sessions in one process ----------------------------------------------------------------------


def texts(controls: Any) -> str:
    """All that the browser is told."""
    return repr((controls.cards, controls.notes, controls.options, controls.message))


def test_two_sessions_speak_each_its_language(here: str) -> None:
    with words.speaking("de"):
        german = overview.Overview(signed_in("admin"), {})
    english = overview.Overview(signed_in("admin"), {})
    for period in ("30d", "7d", "all"):
        for page, mine, other in ((german, "Ausleihen", "Checkouts"),
                                  (english, "Checkouts", "Ausleihen")):  # fmt: skip
            page.controls.query = {**page.controls.query, "period": period}
            assert mine in texts(page.controls)
            assert other not in texts(page.controls)
    total = next(c["value"] for c in german.controls.cards if c["name"] == "checkouts")
    same = next(c["value"] for c in english.controls.cards if c["name"] == "checkouts")
    assert total == same.replace(",", ".")
    assert german.busy.source.data["weekday"][0] == "Mo"


def test_files_speak_english_with_english_headings(here: str) -> None:
    with words.speaking("de"):
        overview.Overview(signed_in("admin"), {})
    table = overview_table(signed_in("admin").account.viewer, "busy", {})
    head, first = to_csv(table).decode("utf-8-sig").splitlines()[:2]
    assert head.startswith("Weekday,Hour from,Such days,Checkouts")
    assert first.startswith("Mon,")
