"""Publish anyway: on record, for one verdict, and only where something is held back."""

from __future__ import annotations

import pytest

from flows.ingest import ingest
from quality.overrides import override
from tasks.publish import publish
from tests.flows.fix_desk import Desk
from warehouse.errors import ConfigurationError
from warehouse.spec import dataset

DAILY = "select day::text, loans from gold.desk_daily order by day"
OUTCOME = (
    "select outcome, contract, published_by, published_because from quality.outcomes"
    " where dataset = 'desk_loans'"
)


def state(desk: Desk) -> dict[str, str]:
    return {p.table: p.state for p in publish([dataset("desk_loans")], "r")}


def test_a_person_publishes_one_verdict_and_no_other(desk: Desk) -> None:
    desk.files()
    desk.contract("loans", most=1)
    assert ingest.fn("desk_loans").standing == "held back"
    assert desk.rows(OUTCOME) == [("held back", "failed", None, None)]
    assert state(desk)["desk_daily"] == "held"
    kept = override(dataset("desk_loans"), who="ann@example.org", reason="  counted by hand ")
    assert (kept.who, kept.reason) == ("ann@example.org", "counted by hand")
    again = override(dataset("desk_loans"), who="bo@example.org", reason="me too")
    assert again.who == "ann@example.org", "the first record stays"
    assert state(desk)["desk_daily"] == "published"
    assert desk.rows(DAILY) == [("2024-03-01", 1), ("2024-03-02", 1)]
    assert desk.rows(OUTCOME) == [("warnings", "failed", "ann@example.org", "counted by hand")]
    desk.file("loans", *(f"{i},a,2024-04-01 10:00:00" for i in range(3, 8)))
    assert ingest.fn("desk_loans").standing == "held back"
    assert desk.rows(OUTCOME) == [("held back", "failed", None, None)]
    assert desk.rows(DAILY) == [("2024-03-01", 1), ("2024-03-02", 1)]
    assert desk.rows("select count(*) from quality.overrides") == [(1,)]


def test_a_run_that_finds_nothing_new_takes_nothing_back(desk: Desk) -> None:
    desk.files()
    desk.contract("loans", most=1)
    ingest.fn("desk_loans")
    override(dataset("desk_loans"), who="ann@example.org", reason="counted by hand")
    known = [("warnings", "failed", "ann@example.org", "counted by hand")]
    for force in (False, True):
        again = ingest.fn("desk_loans", force=force)
        assert again.standing == "warnings"
        assert "published anyway by ann@example.org" in str(again)
        assert desk.rows(OUTCOME) == known
    assert desk.rows(DAILY) == [("2024-03-01", 1), ("2024-03-02", 1)]
    further = "  - row_count:\n      qualifier: b\n      threshold: {must_be: %s}\n"
    desk.contract("loans", most=1, more=further % 2)
    assert ingest.fn("desk_loans").standing == "warnings", "the further check holds"
    desk.contract("loans", most=1, more=further % 3)
    assert ingest.fn("desk_loans").standing == "held back", "a further check does not hold"
    desk.contract("loans", most=1)
    assert ingest.fn("desk_loans").standing == "held back", "what ended does not come back"


def test_what_is_not_held_back_is_not_published_anyway(desk: Desk) -> None:
    desk.files()
    loans = dataset("desk_loans")
    with pytest.raises(ConfigurationError, match="has not been judged"):
        override(loans, who="ann", reason="x")
    ingest.fn("desk_loans")
    with pytest.raises(ConfigurationError, match="not held back"):
        override(loans, who="ann", reason="x")
    with pytest.raises(ConfigurationError, match="needs a reason"):
        override(loans, who="ann", reason="  ")
    assert desk.rows("select count(*) from quality.overrides") == [(0,)]


def test_a_run_that_fails_is_its_own_outcome(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_loans")
    assert desk.rows(OUTCOME)[0][0] == "trusted"
    path = desk.landing / "desk" / "loans.csv"
    text = path.read_text()
    path.write_text(text.replace("lent_at", "left_at"))
    with pytest.raises(Exception, match="lent_at"):
        ingest.fn("desk_loans")
    assert desk.rows(OUTCOME)[0][0] == "failed to run"
    desk.contract("titles", more="  - rowcount:\n")
    with pytest.raises(ConfigurationError, match="rowcount"):
        ingest.fn("desk_titles")
    assert desk.rows("select outcome from quality.outcomes where dataset = 'desk_titles'") == [
        ("failed to run",)
    ]
    path.write_text(text)
    ingest.fn("desk_loans")
    assert desk.rows(OUTCOME)[0][0] == "trusted"
