"""Declared references: counted after the load, with keys that are no one's secret."""

from __future__ import annotations

import pytest

from flows.ingest import ingest
from quality.contract import contract
from tasks.findings import findings
from tests.flows.fix_desk import Desk
from warehouse.errors import SpecError
from warehouse.spec import dataset

NAME = "title_code known in desk_titles"


def refer(desk: Desk, more: str = "", *, to: str = "desk_titles") -> None:
    path = desk.folder / "datasets" / "desk" / "loans.yml"
    text = path.read_text().partition("references:")[0]
    path.write_text(f"{text}references:\n  - {{columns: [title_code], to: {to}{more}}}\n")


def loans(desk: Desk, *titles: str) -> None:
    rows = (f"{i},{t},2024-03-01 10:00:00" for i, t in enumerate(titles, 1))
    desk.file("loans", *rows)


def test_rows_that_lead_nowhere_are_a_warning_with_count_and_keys(desk: Desk) -> None:
    desk.files()
    refer(desk, ", samples: 2")
    ingest.fn("desk_titles")
    loans(desk, "a", "a", "b", "zz", "zz", "zz", "x", "y")
    result = ingest.fn("desk_loans")
    assert (result.standing, result.verdict.outcome) == ("warnings", "passed")
    (lost,) = result.verdict.lost
    assert (lost.name, lost.rows, lost.samples) == (NAME, 5, ["zz", "x"])
    assert desk.rows("select name, rows, samples from quality.lost_keys") == [
        (NAME, 5, ["zz", "x"])
    ]
    report = [str(f) for f in findings(dataset("desk_loans"), result.verdict)]
    assert report == [f"cross-table  5 warning: {NAME} (not there: zz, x)"]
    loans(desk, "a", "b")
    desk.file("titles", "a,Emma", "b,Ulysses", *(f"{t},T" for t in ("zz", "x", "y")))
    ingest.fn("desk_titles")
    whole = ingest.fn("desk_loans")
    assert (whole.standing, whole.verdict.lost) == ("trusted", ())


def test_a_critical_one_holds_back_and_some_may_be_allowed(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_titles")
    loans(desk, "a", "a", "a", "zz")
    refer(desk, ", severity: critical, most: 20")
    assert ingest.fn("desk_loans").standing == "held back"
    refer(desk, ", severity: critical, most: 25")
    result = ingest.fn("desk_loans")
    assert result.standing == "trusted"
    assert [str(f) for f in findings(dataset("desk_loans"), result.verdict)][-1] == (
        f"cross-table  1 tolerated: {NAME} (not there: zz)"
    )


def test_private_keys_are_counted_and_not_shown(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_titles")
    loans(desk, "a", "zz")
    path = desk.folder / "datasets" / "desk" / "titles.yml"
    text = path.read_text()
    path.write_text(
        text.replace("meaning: A title_code", "meaning: A title_code, privacy: personal")
    )
    refer(desk)
    (lost,) = ingest.fn("desk_loans").verdict.lost
    assert (lost.rows, lost.samples) == (1, [])
    path.write_text(text)
    (lost,) = ingest.fn("desk_loans").verdict.lost
    assert lost.samples == ["zz"]


@pytest.mark.parametrize(
    ("to", "more", "named"),
    [
        ("desk_tittles", "", "no dataset is called 'desk_tittles'"),
        ("desk_titles", ", key: [titel]", "desk_titles has no column titel"),
        ("desk_titles", ", key: [title_code, title]", "as many columns"),
        ("desk_titles", ", severity: fatal", "severity"),
        ("desk_titles", ", severty: info", "severty"),
    ],
)
def test_a_wrong_reference_is_named(desk: Desk, to: str, more: str, named: str) -> None:
    refer(desk, more, to=to)
    with pytest.raises(SpecError, match=named) as error:
        contract(dataset("desk_loans"))
    assert "loans.yml" in str(error.value)
