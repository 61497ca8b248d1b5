"""Forms and mails of accounts in German: by the browser, by the person's choice, by the setting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deployments import letters
from tests.bi_app.client import Client
from tests.bi_app.fix_app import PASSWORD
from tests.bi_app.test_joining import NEW, STRANGER, clean, follow, mailed
from tests.bi_app.test_people import execute
from tests.tasks.fix_smtp import Post, post

__all__ = ["clean", "mailed", "post"]
Guest = Callable[..., Client]
GERMAN = {"Accept-Language": "de-CH,de;q=0.9,en;q=0.5"}


@pytest.fixture
def german(guest: Guest) -> Client:
    """A client whose browser prefers German."""
    client = guest()
    client.http.headers.update(GERMAN)
    return client


def subjects(post: Post) -> list[str]:
    return [str(mail["subject"]) for mail in post.mails()]


def test_forms_speak_what_the_browser_prefers(german: Client, guest: Guest, ann: str) -> None:
    form = german.http.get("/sign-in").text
    assert '<html lang="de">' in form
    assert "Passwort vergessen?" in form
    assert "E-Mail-Adresse oder Passwort stimmt nicht." in german.sign_in(ann, "wrong").text
    assert "Diese Seite gibt es nicht" in german.http.get("/nowhere").text
    assert '<html lang="en">' in guest().http.get("/sign-in").text


@pytest.mark.parametrize("path", ["/forgot", "/register", "/choose-password", "/link/x"])
def test_no_form_mixes_languages(german: Client, mailed: Callable[[], str], path: str) -> None:
    text = german.http.get(path, follow_redirects=True).text
    assert '<html lang="de">' in text
    assert not [word for word in ("Please", "Your ", "Choose", "Send", "Ask ") if word in text]


def test_registering_in_german(german: Client, mailed: Callable[[], str], post: Post) -> None:
    answer = german.submit("/register", email=STRANGER, name="Neue Leserin")
    assert "Sehen Sie in Ihr Postfach" in answer.text
    link = mailed()
    assert subjects(post) == ["Ihr Carrel-Konto"]
    letter = post.mails()[0].get_content()
    assert letter.startswith("Guten Tag Neue Leserin,")
    assert "72 Stunden lang" in letter
    assert "Willkommen bei Carrel" in follow(german, link)
    typed = {"password": "kurz", "again": "kurz"}  # pragma: allowlist secret
    short = german.submit("/choose-password", **typed)
    assert "Ein Passwort hat 10 bis 256 Zeichen; dieses hat 4." in short.text
    done = german.submit("/choose-password", password=NEW, again=NEW)
    assert "Ihr Passwort ist gesetzt." in german.http.get(done.headers["location"]).text


def test_a_person_chooses_a_language(
    guest: Guest, mailed: Callable[[], str], post: Post, ann: str
) -> None:
    client = guest()
    client.sign_in(ann, PASSWORD)
    assert '<html lang="en">' in client.http.get("/account").text
    done = client.submit("/account", "/account/language", language="de")
    assert done.headers["location"] == "/account?done=language"
    page = client.http.get(done.headers["location"]).text
    assert '<html lang="de">' in page
    assert "Ihre Sprache ist geändert" in page
    assert '<option value="de" lang="de" selected>Deutsch</option>' in page
    guest().submit("/forgot", email=ann)  # asked for in English, by whomever
    mailed()
    assert subjects(post) == ["Ein neues Carrel-Passwort wählen"]
    for wrong in ("xx", "de'; --", "qps"):
        answer = client.submit("/account", "/account/language", language=wrong)
        assert (answer.status_code, "spricht Carrel nicht" in answer.text) == (400, True)
    client.submit("/account", "/account/language", language="")
    assert '<html lang="en">' in client.http.get("/account").text
    assert execute("select language from app.accounts where email = %s", ann) == [(None,)]


def test_a_notice_of_a_change_speaks_the_persons_language(
    guest: Guest, mailed: Callable[[], str], post: Post, ann: str
) -> None:
    execute("update app.accounts set language = 'de' where email = %s", ann)
    client = guest()
    client.sign_in(ann, PASSWORD)
    client.submit("/account", "/account/password", current=PASSWORD, password=NEW, again=NEW)
    letters.send_due()
    assert "Das Passwort Ihres Kontos wurde geändert." in post.mails()[-1].get_content()


def test_the_setting_speaks_to_whom_the_browser_says_nothing(
    guest: Guest, setting: Callable[..., None]
) -> None:
    setting(language="de")
    assert '<html lang="de">' in guest().http.get("/sign-in").text
    assert (
        '<html lang="en">' in guest().http.get("/sign-in", headers={"Accept-Language": "en"}).text
    )
