"""Saved views and cards: whose they are, who sees them, and what may stand in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bi_app.auth.accounts import create_account
from bi_app.models import cards, saved_views
from tests.bi_app.fix_app import EMAILS, OWN, PASSWORD
from tests.bi_app.test_explore import owner
from warehouse.access import Viewer, acting_as
from warehouse.database import connect
from warehouse.errors import ConfigurationError

ADMIN = Viewer(EMAILS["admin"], "admin")
LIBRARIAN = Viewer(EMAILS["librarian"], "librarian", OWN)
COLLEAGUE = Viewer("colleague@carrel.example", "librarian", ("ASH",))
MEMBER = Viewer(EMAILS["member"], "member")
PAGE = "/circulation"


@pytest.fixture(autouse=True)
def _no_views(here: str) -> Iterator[None]:
    yield
    with connect() as connection:
        connection.execute("delete from app.saved_views")


def names(viewer: Viewer, page: str = PAGE) -> list[str]:
    return [v["name"] for v in saved_views.listed(viewer, page)]


def test_a_view_is_the_own_until_it_is_shared_with_the_role() -> None:
    number = saved_views.save(LIBRARIAN, PAGE, " The  month ", "period=30d&branch=CEN")
    assert names(LIBRARIAN) == ["The month"]
    assert names(COLLEAGUE) == names(ADMIN) == names(MEMBER) == names(LIBRARIAN, "/holds") == []
    saved_views.share(LIBRARIAN, number, shared=True)
    (seen,) = saved_views.listed(COLLEAGUE, PAGE)
    assert (seen["name"], seen["own"], seen["by"]) == ("The month", False, LIBRARIAN.user)
    assert seen["href"] == f"{PAGE}?period=30d&branch=CEN"
    assert names(ADMIN) == names(MEMBER) == []
    saved_views.share(LIBRARIAN, number, shared=False)
    assert names(COLLEAGUE) == []


def test_only_the_owner_changes_a_view_and_postgresql_says_so() -> None:
    number = saved_views.save(LIBRARIAN, PAGE, "Mine", "")
    saved_views.share(LIBRARIAN, number, shared=True)
    for viewer in (COLLEAGUE, ADMIN, MEMBER):
        with pytest.raises(ConfigurationError, match="no such view of yours"):
            saved_views.rename(viewer, number, "Ours")
        with pytest.raises(ConfigurationError, match="no such view of yours"):
            saved_views.share(viewer, number, shared=False)
        with pytest.raises(ConfigurationError, match="no such view of yours"):
            saved_views.delete(viewer, number)
        with acting_as(viewer, writes=True) as connection:  # without the query's own condition
            assert connection.execute(text("delete from app.saved_views")).rowcount == 0
            assert connection.execute(text("update app.saved_views set name = 'x'")).rowcount == 0
    assert names(LIBRARIAN) == ["Mine"]
    for question in (
        "insert into app.saved_views (owner, page, name, state) values ('ann', '/holds', 'x', '')",
        "update app.saved_views set shared_with = 'admin'",
    ):
        with (
            acting_as(LIBRARIAN, writes=True) as connection,
            pytest.raises(ProgrammingError, match="row-level security"),
        ):
            connection.execute(text(question))


def test_a_view_is_renamed_saved_anew_and_deleted_and_the_log_tells_of_it() -> None:
    first = saved_views.save(LIBRARIAN, PAGE, "One", "period=30d")
    assert saved_views.save(LIBRARIAN, PAGE, "One", "period=7d") == first
    saved_views.save(LIBRARIAN, PAGE, "Two", "")
    with pytest.raises(ConfigurationError, match="of this name already"):
        saved_views.rename(LIBRARIAN, first, "Two")
    saved_views.rename(LIBRARIAN, first, "Three")
    assert names(LIBRARIAN) == ["Three", "Two"]
    saved_views.delete(LIBRARIAN, first)
    acts = owner("select act from audit.entries where who = %s and subject = %s order by entry_id",
                 LIBRARIAN.user, f"view {first}")  # fmt: skip
    assert [a for (a,) in acts][-2:] == ["rename_view", "delete_view"]


def test_there_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST", 2)
    for name in ("a", "b"):
        saved_views.save(LIBRARIAN, PAGE, name, "")
    with pytest.raises(ConfigurationError, match="2 views of this page already"):
        saved_views.save(LIBRARIAN, PAGE, "c", "")
    saved_views.save(LIBRARIAN, PAGE, "b", "period=7d")
    saved_views.save(LIBRARIAN, "/holds", "c", "")


@pytest.mark.parametrize(
    "state",
    [
        "who=ann@library.example", "who=ann%40library.example", "filter=author:eq:a%40b.example",
        "a" * 2001, "1bad=x", "x=" + "%E2%82%AC" * 300, None, {"a": 1}, "%FF=1", "a=%00",
    ],
)  # fmt: skip
def test_what_is_no_state_of_a_page_or_holds_an_address_is_refused(state: object) -> None:
    with pytest.raises(ConfigurationError):
        saved_views.checked_state(state)


@trying(deadline=None, max_examples=200)
@given(st.one_of(st.text(max_size=60), st.text('a=&%@.:_?#/\\<>" 0\r\n', max_size=60)))
def test_a_saved_state_opens_the_same_page_of_the_same_site(state: str) -> None:
    try:
        kept = saved_views.checked_state(state)
    except ConfigurationError:
        return
    address = urlsplit(saved_views.address(PAGE, kept))
    assert (address.scheme, address.netloc, address.path) == ("", "", PAGE)
    assert not address.fragment
    assert saved_views.checked_state(address.query) == kept
    assert "@" not in str(parse_qs(address.query)) or "." not in kept or "%40" in kept


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\x07b", None, 7])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match="A name has"):
        saved_views.save(LIBRARIAN, PAGE, name, "")


def test_an_account_takes_its_views_with_it() -> None:
    create_account("leaver@carrel.example", "Leaver", "librarian", OWN, None, PASSWORD)
    leaver = Viewer("leaver@carrel.example", "librarian", OWN)
    saved_views.save(leaver, PAGE, "Mine", "")
    with connect() as connection:
        connection.execute("update app.accounts set email = 'left@carrel.example' where email = %s",
                           [leaver.user])  # fmt: skip
    assert names(Viewer("left@carrel.example", "librarian", OWN)) == ["Mine"]
    with connect() as connection:
        connection.execute("delete from app.accounts where email = 'left@carrel.example'")
    assert owner("select count(*) from app.saved_views")[0][0] == 0


# Cards --------------------------------------------------------------------------------------------


def card_of(viewer: Viewer, state: str, name: str = "A card") -> dict[str, Any]:
    saved_views.save(viewer, "/explore", name, state, card=True)
    return next(c for c in cards.cards(viewer) if c["name"] == name)


def test_a_card_is_worked_out_anew_for_who_sees_it() -> None:
    state = "table=gold.library_circulation&face=summary&measure=sum:checkouts&by=branch_code"
    admins, librarians = card_of(ADMIN, state), card_of(LIBRARIAN, state)
    true = owner(
        "select branch_code, sum(checkouts) from gold.library_circulation"
        " group by 1 order by 2 desc"
    )
    assert admins["bars"] == [[b, float(v), f"{v:,}"] for b, v in true]
    assert {row[0] for row in librarians["bars"]} == set(OWN)
    assert admins["figures"] == [["Sum of checkouts", f"{sum(v for _, v in true):,}"]]
    assert "all changes before" in str(admins["fresh"])
    assert cards.cards(COLLEAGUE) == []


def test_a_card_over_time_is_drawn_as_lines_and_one_without_groups_as_a_figure() -> None:
    state = "table=gold.library_circulation&face=summary&measure=sum:checkouts&by="
    timed = card_of(ADMIN, f"{state}day:quarter&by=branch_code", "Time")
    assert {name for name, _ in timed["lines"]} <= {"ASH", "BEL", "CEN", "DUN"}
    single = card_of(ADMIN, f"{state}-", "One")
    assert "lines" not in single
    assert len(single["figures"]) == 1


def test_a_card_of_what_may_not_be_read_says_so_and_the_others_stand() -> None:
    lost = card_of(LIBRARIAN, "table=silver.library_members&face=summary", "Lost")
    people = card_of(ADMIN, "table=silver.library_members&face=summary", "People")
    assert lost["fault"] == cards.GONE
    assert "is a person" in str(people["fault"])
    assert not lost["figures"]
    assert not people["figures"]
    good = card_of(LIBRARIAN, "table=gold.library_titles&face=summary&measure=count&by=-", "Good")
    assert good["figures"] == [["Rows", "300"]]


def test_a_view_is_no_card_and_a_card_no_view() -> None:
    saved_views.save(ADMIN, "/explore", "Both", "table=gold.library_titles")
    saved_views.save(ADMIN, "/explore", "Both", "table=gold.library_circulation", card=True)
    assert names(ADMIN, "/explore") == ["Both"]
    assert [c["name"] for c in saved_views.cards(ADMIN)] == ["Both"]
    number = saved_views.cards(ADMIN)[0]["view_id"]
    with pytest.raises(ConfigurationError):
        saved_views.share(ADMIN, number, shared=True)
    with pytest.raises(ConfigurationError, match="made on Explore"):
        saved_views.act(ADMIN, PAGE, {"act": "save_card", "name": "x", "state": ""})
