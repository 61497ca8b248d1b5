"""A member's history: from the day of consent, by page, download, export and raw SQL alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bi_app.api.tables import mine, past
from bi_app.models import my_history
from bi_app.models.export import to_csv
from bi_app.models.my_loans import my_loans
from bi_app.queries import rows
from tasks.export import export
from tests.bi_app.fix_app import MEMBER, OTHER, TODAY, lend
from tests.fix_warehouse import NONE, copied, use
from warehouse.access import Viewer, acting_as
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

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
    asked = {"member": MEMBER, "zone": settings().timezone}
    assert rows(VIEWER, "my_consent", asked)[0]["since"] is not None


# What the member says on the page -------------------------------------------------------------


@pytest.fixture
def unsaid(consented: None) -> Iterator[None]:
    """Nobody has said anything on the page, and the member has no consent in the system."""
    forget_words()
    agree(MEMBER, None)
    yield
    forget_words()


def forget_words() -> None:
    with connect() as connection:
        connection.execute("delete from app.history_consents")


def say(agreed: bool, viewer: Viewer = VIEWER) -> str:
    return my_history.act(viewer, {"act": "agree" if agreed else "withdraw"}, "192.0.2.7")


def lend_now(number: str, minutes: int) -> None:
    """A loan of the member that began so many minutes from now, and is over."""
    local = "(now() at time zone %s) + make_interval(mins => %s)"
    with connect() as connection:
        for kind in ("checkout", "return"):
            connection.execute(
                "insert into silver.library_loan_events (source_code, event_id, loan_id, kind,"
                " occurred_at, branch_code, item_code, member_key, _load_id)"
                f" values ('sample', %s, %s, %s, {local}, 'CEN', 'I2', %s, 1)",
                [f"{kind}{number}", number, kind, settings().timezone, minutes, MEMBER],
            )


@pytest.fixture
def today(unsaid: None) -> Iterator[None]:
    """A loan of half an hour ago, and one of half an hour from now, both over."""
    lend_now("N1", -30)
    lend_now("N2", 30)
    yield
    with connect() as connection:
        connection.execute("delete from silver.library_loan_events where loan_id like 'N%'")


def test_consent_on_the_page_counts_from_that_moment_and_never_back(today: None) -> None:
    assert loans() == ["L3", "L4"]
    assert "from now on" in say(True)
    assert loans() == ["L3", "L4", "N2"], "not even a loan of the same day, before"
    mine = my_history.my_history(VIEWER)
    assert len(mine.loans) == 1
    assert len(my_loans(VIEWER).past) == 1, "My loans shows the same"
    assert mine.table("months").data["value"] == [1]
    assert loans(Viewer("ot@example.org", "member", (), OTHER)) == ["L5"]


def test_taking_it_back_hides_all_at_once_and_agreeing_again_brings_nothing_back(
    today: None,
) -> None:
    say(True)
    assert "hidden" in say(False)
    assert loans() == ["L3", "L4"]
    assert my_history.my_history(VIEWER).since is None
    for table in my_history.NAMES:
        with pytest.raises(KeyError):
            past(VIEWER, table, {})
    with connect() as connection:  # as if both had been said before N2 began and was over
        connection.execute("update app.history_consents set at = at + interval '40 minutes'")
    say(True)
    with connect() as connection:
        connection.execute(
            "update app.history_consents set at = at + interval '50 minutes'"
            " where consent_id = (select max(consent_id) from app.history_consents)"
        )
    assert loans() == ["L3", "L4"]


def test_taking_back_counts_against_the_library_s_system_until_it_says_so_anew(
    unsaid: None,
) -> None:
    agree(MEMBER, 100)
    assert loans() == ["L2", "L3", "L4"]
    say(False)
    assert loans() == ["L3", "L4"], "the system's older day does not outvote the member"
    agree(MEMBER, 0)
    assert loans() == ["L3", "L4"], "nor one of the same day, which may be older"
    with connect() as connection:
        connection.execute("update app.history_consents set at = at - interval '95 days'")
    agree(MEMBER, 91)
    assert loans() == ["L2", "L3", "L4"], "a consent given at the desk since"
    say(True)
    assert loans() == ["L2", "L3", "L4"], "agreeing here as well shortens nothing"
    say(False)
    assert loans() == ["L3", "L4"]


@pytest.mark.parametrize(
    "viewer",
    [Viewer("ann@example.org", "admin"), Viewer("lin@example.org", "librarian", ("CEN",)),
     Viewer("no@example.org", "member", (), None)],
    ids=lambda v: v.user,
)  # fmt: skip
def test_nobody_else_says_it(unsaid: None, viewer: Viewer) -> None:
    for agreed in (True, False):
        with pytest.raises(ConfigurationError):
            say(agreed, viewer)
        with pytest.raises(ProgrammingError), acting_as(viewer, writes=True) as connection:
            connection.execute(text("select app.say_of_history(:agreed)"), {"agreed": agreed})
    with connect() as connection:
        assert connection.execute("select count(*) from app.history_consents").fetchone() == (0,)


@pytest.mark.parametrize(
    "evil",
    [
        "insert into app.history_consents (member_key, said, at)"
        f" values ('{MEMBER}', 'given', '2000-01-01')",
        "update app.history_consents set at = '2000-01-01'",
        "delete from app.history_consents",
        "select * from app.history_consents",
        "update silver.library_members set history_consent_on = '2000-01-01'",
        "select set_config('carrel.claim', '', true), app.say_of_history(true)",
    ],
)
def test_a_member_can_date_no_consent(unsaid: None, evil: str) -> None:
    say(True)
    with pytest.raises(ProgrammingError), acting_as(VIEWER, writes=True) as connection:
        connection.execute(text(evil))


def test_saying_it_twice_is_saying_it_once_and_stands_in_the_audit_log(unsaid: None) -> None:
    for agreed in (True, True, False, False):
        say(agreed)
    with connect() as connection:
        said = connection.execute(
            "select said from app.history_consents order by consent_id"
        ).fetchall()
        noted = connection.execute(
            "select details ->> 'agreed', address from audit.entries"
            " where act = 'consent' order by entry_id desc limit 4"
        ).fetchall()
    assert [row[0] for row in said] == ["given", "withdrawn"]
    assert noted == [("false", "192.0.2.7")] * 2 + [("true", "192.0.2.7")] * 2


def test_the_page_says_what_stays_stored_and_how_long(unsaid: None) -> None:
    off = " ".join(my_history.my_history(VIEWER).decision()["says"])
    assert "Nothing from before is ever shown" in off
    say(True)
    on = " ".join(my_history.my_history(VIEWER).decision()["says"])
    assert "Hiding deletes nothing" in on
    for words in (off, on):
        assert "loan events 12 months (loan disputes and lost books)" in words


def test_figures_of_a_history(consented: None) -> None:
    agree(MEMBER, 300)
    mine = my_history.my_history(VIEWER)
    assert [r["title"] for r in mine.loans] == ["Quiet Rooms", "=1+1"]
    months = mine.table("months")
    assert len(months.data["name"]) in (4, 5), "months without a loan stand between"
    assert sum(months.data["value"]) == 2
    assert mine.table("subjects").data == {
        "name": ["Shelved otherwise"], "value": [2], "share": [100.0]
    }  # fmt: skip
    assert len(mine.within("365").loans) == 2
    assert my_history.MyHistory(mine.loans, [], mine.since).within("100").loans == [mine.loans[0]]
    assert b"'=1+1" in to_csv(past(VIEWER, "loans", {})), "no formula for a spreadsheet"
    assert [r["state"] for r in mine.holds] == ["collected", "collected"]
