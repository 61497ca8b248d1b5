"""A member's history: from the day of consent, by page, download, export and raw SQL alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from bi_app.api.tables import mine
from bi_app.models.my_loans import my_loans
from bi_app.queries import rows
from tasks.export import export
from tests.bi_app.fix_app import MEMBER, OTHER, TODAY, lend
from tests.fix_warehouse import NONE, copied, use
from warehouse.access import Viewer, acting_as
from warehouse.database import connect

VIEWER = Viewer("mo@example.org", "member", (), MEMBER)
EVENTS = "select distinct loan_id from silver.library_loan_events order by 1"
HOLD = (
    "insert into silver.library_holds (source_code, hold_id, title_code, member_key, branch_code,"
    " placed_at, status, frozen, _load_id) values ('sample', %s, 'T2', %s, 'CEN', %s, %s, false, 1)"
)


@pytest.fixture(scope="module")
def lent(template: str) -> Iterator[str]:
    """Loans of two members; the first agreed 100 days ago: L1 and H0 were over before that."""
    with copied("carrel_consent", template) as name:
        use(name)
        with connect() as connection:
            lend(connection)
            for number, days, status in (("H0", 190, "collected"), ("H2", 50, "collected")):
                placed = TODAY - dt.timedelta(days=days)
                connection.execute(HOLD, [number, MEMBER, placed, status])
        yield name
        use(NONE)


@pytest.fixture
def consented(lent: str) -> Iterator[None]:
    """The members' consent may be changed; it is put back."""
    use(lent)
    agree(MEMBER, 100)
    agree(OTHER, None)
    yield
    use(NONE)


def agree(member: str, days_ago: int | None) -> None:
    day = None if days_ago is None else TODAY - dt.timedelta(days=days_ago)
    with connect() as connection:
        connection.execute(
            "update silver.library_members set history_consent_on = %s where member_key = %s",
            [day, member],
        )


def loans(viewer: Viewer = VIEWER) -> list[str]:
    with acting_as(viewer) as connection:
        return [row[0] for row in connection.execute(text(EVENTS))]


def test_raw_sql_shows_open_loans_and_those_since_consent(consented: None) -> None:
    assert loans() == ["L2", "L3", "L4"]
    other = Viewer("ot@example.org", "member", (), OTHER)
    assert loans(other) == ["L5"]
    with acting_as(VIEWER) as connection:
        found = connection.execute(text("select hold_id from silver.library_holds order by 1"))
        assert [row[0] for row in found] == ["H1", "H2"]


def test_consent_of_today_does_not_show_yesterday_s_loans(consented: None) -> None:
    agree(MEMBER, 0)
    assert loans() == ["L3", "L4"], "L2 came back before today"
    assert my_loans(VIEWER).past == []
    agree(MEMBER, 91)
    assert loans() == ["L2", "L3", "L4"]
    agree(MEMBER, None)
    assert loans() == ["L3", "L4"]


def test_a_loan_from_before_that_came_back_since_stays_hidden(consented: None) -> None:
    """Its return lies after the consent, and would tell of it."""
    agree(MEMBER, 70)  # L2 was lent 90 days ago and came back 60 days ago
    assert loans() == ["L3", "L4"]
    assert [r["title"] for r in my_loans(VIEWER).past] == []


def test_the_page_and_its_download_show_the_same(consented: None) -> None:
    past = my_loans(VIEWER).past
    assert [(r["title"], r["lent_on"]) for r in past] == [
        ("Quiet Rooms", TODAY - dt.timedelta(days=90))
    ]
    saved = mine(VIEWER, "past", {})
    assert list(saved.data["lent_on"]) == [TODAY - dt.timedelta(days=90)]
    agree(MEMBER, None)
    with pytest.raises(KeyError):
        mine(VIEWER, "past", {})


def test_an_export_as_the_member_shows_the_same(consented: None, tmp_path: Path) -> None:
    to = tmp_path / "mine.csv"
    export("library_loan_events", to, viewer=VIEWER)
    text = to.read_text("utf-8-sig")
    assert ",L1," not in text
    assert all(f",{loan}," in text for loan in ("L2", "L3", "L4"))
    export("select loan_id from silver.library_loan_events", to, viewer=VIEWER)
    assert "L1" not in to.read_text("utf-8-sig")


@pytest.mark.parametrize(
    "question",
    [
        "select app.shown_library_loan_events()",
        "select * from app.shown_library_loan_events() as s (matter)",
    ],
)
def test_the_function_behind_tells_of_the_own_matters_alone(consented: None, question: str) -> None:
    with acting_as(VIEWER) as connection:
        found = [row[0] for row in connection.execute(text(question))]
    assert sorted(found) == [f'["sample", "L{n}"]' for n in (2, 3, 4)]
    with acting_as(Viewer("x", "member", (), None)) as connection:
        assert connection.execute(text(question)).fetchall() == []


def test_staff_see_their_rows_as_before(consented: None) -> None:
    assert loans(Viewer("ann@example.org", "admin")) == ["L1", "L2", "L3", "L4", "L5"]
    assert rows(VIEWER, "my_consent", {"member": MEMBER})[0]["since"] is not None
