"""The members page: the figures of the lattices; what is withheld is shown as such."""

from __future__ import annotations

import numpy as np
import pytest

from bi_app.api import tables
from bi_app.models import members as model
from bi_app.models.members import REPORT, Members
from bi_app.pages import members as page
from bi_app.pages.report import ReportPage
from tests.bi_app.test_models import ADMIN, LIBRARIAN
from tests.bi_app.test_pages import signed_in


@pytest.fixture
def known(here: str) -> Members:
    found = model.members(ADMIN)
    assert found is not None
    return found


def test_both_roles_of_the_staff_see_the_same(known: Members) -> None:
    assert model.members(LIBRARIAN) == known


def test_cards_follow_the_definitions(known: Members) -> None:
    cards = {c["name"]: c for c in REPORT.cards(known, REPORT.choose(known, {}))}
    assert cards["active_12"]["value"] == "1,500"
    assert cards["new"]["value"] == "90"
    # ((500 - 70) / 499) x 100: active now, of them new, active the quarter before
    assert cards["retention"]["value"] == "86.2 %"
    assert cards["core"]["note"] == "20 % of the active, 58 % of checkouts"
    before = REPORT.cards(known, REPORT.choose(known, {"quarter": "2026-04-01"}))
    assert next(c["value"] for c in before if c["name"] == "retention") == "–", "new are not told"


def test_groups_say_what_is_withheld(known: Members) -> None:
    found = model.groups(known, REPORT.choose(known, {"by": "area"}))
    assert list(zip(found.data["name"], found.data["value"], found.data["told"], strict=True)) == [
        ("A1", 350, "|"), ("A2", None, "warn|withheld"), ("A3", None, "warn|withheld"),
    ]  # fmt: skip
    assert found.data["share"] == [70.0, None, None]
    assert found.data["before"] == [346, None, None]


def test_cohorts_are_shares_of_those_who_joined(known: Members) -> None:
    found = model.cohorts(known, REPORT.choose(known, {}))
    rows = {(r[0], r[1]): r[3:6] for r in found.records()}
    assert rows["Q2 2025", 5] == (150, 100, 66.7)
    assert rows["Q1 2025", 6] == (40, None, None)
    assert rows["Q3 2026", 0] == (90, 70, 77.8)


def test_what_is_withheld_is_hatched_and_has_no_length(here: str) -> None:
    shown = ReportPage(page.LAYOUT, signed_in("librarian"), {"by": "area"})
    for name, key in (("groups", "value"), ("active", "borrowers"), ("cohorts", "value")):
        data = shown.charts[name].source.data
        hidden = np.array([t != "|" for t in data["told"]])
        assert hidden.any()
        assert np.isnan(np.asarray(data[key], float)[hidden]).all(), name
        assert (np.isnan(np.asarray(data["_hidden"], float)) == ~hidden).all(), name


def test_a_file_says_withheld_in_words(here: str) -> None:
    saved = tables.TABLES["members"](ADMIN, "groups", {"by": [b"area"]})
    assert "fewer than 5 people" in " ".join(saved.notes)
    from bi_app.models.export import to_csv

    text = to_csv(saved).decode("utf-8-sig")
    assert "A2,A2,,,,withheld" in text
