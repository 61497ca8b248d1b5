"""What is held about a person: all of it, nobody else's, and a copy for people and programs."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bi_app import words
from bi_app.api.tables import TABLES
from bi_app.auth import sessions
from bi_app.models import my_data, personal
from bi_app.words import extract
from tests.bi_app.client import Client
from tests.bi_app.fix_app import EMAILS, MEMBER, OTHER, PASSWORD
from tests.bi_app.test_people import execute
from warehouse import audit
from warehouse.access import Viewer, acting_as
from warehouse.database import engine
from warehouse.spec import datasets

MO = Viewer(EMAILS["member"], "member", (), MEMBER)
STAFF = (Viewer(EMAILS["admin"], "admin"), Viewer(EMAILS["librarian"], "librarian", ("CEN",)))
VIEWS = [f"my_{name}" for name, *_ in personal.OWN]
CLOSED = (
    ("who", "audit.entries"),
    ("email", "app.sign_ins"),
    ("email", "app.accounts"),
    ("old_email", "app.email_changes"),
    ("prefix", "app.api_keys"),
    ("said", "app.history_consents"),
)
Guest = Callable[..., Client]


@pytest.fixture(autouse=True)
def _library(here: str) -> Iterator[None]:
    """Everybody failed to sign in once, and did something that is on record."""
    execute("delete from app.sign_ins")  # of other files' tests
    for email in EMAILS.values():
        sessions.note(email, "192.0.2.44", "refused")
        audit.note(audit.By(email, "page"), "view", "/=cmd")
    yield
    execute("delete from app.sign_ins")


def part(viewer: Viewer, name: str) -> my_data.Counted:
    return next(c for c in my_data.counted(viewer) if c.part.name == name)


def test_each_view_shows_the_own_rows_to_every_role_alike() -> None:
    for viewer in (MO, *STAFF):
        with acting_as(viewer) as connection:
            account = connection.execute(text("select email, role from app.my_account")).all()
            tried = connection.execute(text("select email, address from app.my_sign_ins")).all()
            done = connection.execute(text("select distinct who from app.my_activity")).all()
        assert account == [(viewer.user, viewer.role)]
        assert tried == [(viewer.user, "192.0.2.44")]
        assert done == [(viewer.user,)]


@pytest.mark.parametrize("view", [*VIEWS, "own_addresses"])
def test_without_a_claim_or_an_account_a_view_is_empty(view: str) -> None:
    nobody = Viewer("nobody@carrel.example", "member", (), "c" * 32)
    question = text(f"select count(*) from app.{view}")
    with acting_as(nobody) as connection:
        assert connection.execute(question).scalar() == 0
    with engine("member").begin() as connection:
        assert connection.execute(question).scalar() == 0


@pytest.mark.parametrize("viewer", [MO, *STAFF], ids=lambda v: v.role)
def test_the_tables_behind_are_closed_or_unchanged(viewer: Viewer) -> None:
    own_policy = {"audit.entries", "app.sign_ins", "app.accounts"} if viewer is STAFF[0] else set()
    for column, table in CLOSED:
        if table not in own_policy:
            with pytest.raises(ProgrammingError), acting_as(viewer) as connection:
                connection.execute(text(f"select {column} from {table}"))


def test_every_dataset_that_names_members_is_a_part_with_reason_and_end() -> None:
    named = {name for name, d in datasets().items() if d.access.member}
    found = {p.name: p for p in personal.parts(MO) if p.member}
    assert set(found) == named
    assert found["library_loan_events"].why == "Loan disputes and lost books"
    assert "12 months" in found["library_loan_events"].kept
    assert all(p.why and p.kept and p.what for p in personal.parts(MO))
    assert not [p for viewer in STAFF for p in personal.parts(viewer) if p.member]


def test_every_column_of_a_view_is_told() -> None:
    for name, *_, fields in personal.OWN:
        columns = {row[0] for row in execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0",
            f"app.my_{name}")}  # fmt: skip
        assert {f.name for f in fields} == columns


def test_what_is_over_without_consent_is_counted_and_not_shown() -> None:
    held = part(MO, "library_loan_events")
    assert (held.shown, held.held) == (4, 6)  # L1 was over before the consent: two events
    said = my_data.told(MO, my_data.counted(MO))["says"]
    assert any("2 records" in s and "not shown" in s for s in said)
    with acting_as(Viewer("ot@example.org", "member", (), OTHER)) as connection:
        assert connection.execute(text("select app.held_library_loan_events()")).scalar() == 1
    for viewer in STAFF:
        with pytest.raises(ProgrammingError), acting_as(viewer) as connection:
            connection.execute(text("select app.held_library_loan_events()"))


def opened(body: bytes) -> tuple[dict[str, Any], dict[str, list[list[str]]]]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        document = json.loads(archive.read("my-data.json"))
        sheets = {
            name.removesuffix(".csv"): list(
                csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig")))
            )
            for name in archive.namelist() if name.endswith(".csv")
        }  # fmt: skip
    return document, sheets


def test_the_copy_holds_all_of_it_and_nobody_elses(guest: Guest) -> None:
    client = guest()
    assert client.http.get("/download/my_data/everything.zip").headers["location"] == "/sign-in"
    client.sign_in(EMAILS["member"], PASSWORD)
    answer = client.http.get("/download/my_data/everything.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    document, sheets = opened(answer.content)
    by_name = {p["name"]: p for p in document["parts"]}
    assert by_name["account"]["records"][0]["email"] == EMAILS["member"]
    loans = by_name["library_loan_events"]
    assert (loans["records_kept"], loans["records_shown_to_you"]) == (6, len(loans["records"]))
    assert {r["member_key"] for r in loans["records"]} == {MEMBER}
    assert by_name["library_fines"]["records"][0]["amount"] in (3.5, 1.25)
    assert len(sheets["library_loan_events"]) == 1 + 4
    whole = answer.content + json.dumps(document).encode()
    assert not [e for e in (EMAILS["admin"], OTHER, "argon2") if e.encode() in whole]
    ((who, table, count),) = execute(
        "select who, details ->> 'table', (details ->> 'rows')::int from audit.entries"
        " where act = 'export' and subject = '/my_data' order by entry_id desc limit 1"
    )
    assert (who, table) == (EMAILS["member"], "everything")
    assert count == sum(len(p["records"]) for p in document["parts"])


def test_its_sheets_hold_no_formulas() -> None:
    execute("update app.accounts set name = '=HYPERLINK(1)' where email = %s", EMAILS["admin"])
    try:
        now = my_data.dt.datetime.now(my_data.dt.UTC)
        document, sheets = opened(my_data.everything(STAFF[0], now)[0])
    finally:
        execute("update app.accounts set name = 'Admin Person' where email = %s", EMAILS["admin"])
    place = sheets["account"][0].index("Name")
    assert sheets["account"][1][place] == "'=HYPERLINK(1)"
    assert document["parts"][0]["records"][0]["name"] == "=HYPERLINK(1)", "as it is, for programs"


def test_a_part_with_many_records_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(my_data, "MOST", 1)
    for _ in range(3):
        audit.note(audit.By(MO.user, "page"), "view", "/overview")
    now = my_data.dt.datetime.now(my_data.dt.UTC)
    activity = next(
        p for p in opened(my_data.everything(MO, now)[0])[0]["parts"] if p["name"] == "activity"
    )
    assert len(activity["records"]) == 1 < activity["records_kept"]


def test_tables_of_the_page_and_what_is_not_there() -> None:
    assert set(TABLES["my_data"](MO, "parts", {}).data["part"]) >= {"Account", "Loan events"}
    fines = TABLES["my_data"](MO, "records", {"part": [b"library_fines"]})
    assert len(fines) == 2
    for viewer, name, arguments in (
        (MO, "everything", {}), (MO, "records", {}), (MO, "records", {"part": [b"accounts"]}),
        (STAFF[0], "records", {"part": [b"library_fines"]}),
    ):  # fmt: skip
        with pytest.raises(KeyError):
            TABLES["my_data"](viewer, name, arguments)


def test_saved_views_are_the_own_ones_and_not_those_that_others_share() -> None:
    for owner, shared in ((MO.user, None), (EMAILS["admin"], "member")):
        execute(
            "insert into app.saved_views (owner, page, name, state, shared_with)"
            " values (%s, '/overview', 'Mine', 'period=7d', %s)", owner, shared,
        )  # fmt: skip
    try:
        with acting_as(MO) as connection:
            seen = connection.execute(text("select count(*) from app.saved_views")).scalar()
        assert seen == 2, "the other is shared with members"
        assert part(MO, "saved_views").shown == 1
        table = my_data.part_table(MO, "saved_views")
        assert (len(table), table.data["shared_with"]) == (1, [None])
    finally:
        execute("delete from app.saved_views")


def test_the_account_is_shown_in_the_language_of_the_page() -> None:
    with words.speaking("de"):
        table = my_data.shown_table(STAFF[0], "account")
    shown = dict(zip(table.data["what"], table.data["value"], strict=True))
    assert shown["Rolle"] == "Admin"
    assert shown["Sprache"] == "Wie der Browser es angibt"
    assert re.fullmatch(r"\d+\. \w+\.? \d{4}, \d\d:\d\d", shown["Angelegt am"])


def test_every_heading_of_the_account_s_parts_can_be_translated() -> None:
    known = {message.id for message in extract.extracted()}
    parts = [part for part in personal.parts(STAFF[0]) if not part.member]
    assert {column.title for part in parts for column in part.columns} <= known
