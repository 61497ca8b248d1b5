"""Quality of a frame, and the report of what was loaded."""

from __future__ import annotations

import pandas as pd
import pytest

from flows.ingest import ingest
from quality.frame import analyze_data_quality, get_quality_report
from tests.flows.fix_desk import Desk


def test_a_frame_is_measured() -> None:
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 4],
            "mail": ["a@x.org", "b@x.org", "b at x", None, None],
            "born": ["2020-02-29", "2019-02-29", "2020-01-01", "2020-01-02", "2020-01-02"],
            'odd "name': ["x", " ", "y", "z", "z"],
            "many words": ["one", "two", "three", "+44 20 7946 0000", "+44 20 7946 0000"],
        }
    )
    found = analyze_data_quality(frame, "people")
    assert (found["name"], found["rows"], found["duplicates"]) == ("people", 5, 1)
    assert found["completeness"] == pytest.approx(1 - 3 / 25)
    assert found["uniqueness"] == pytest.approx(4 / 5)
    assert found["validity"] == pytest.approx(1 - 2 / 8)
    assert found["score"] == pytest.approx(100 * (22 / 25 + 4 / 5 + 6 / 8) / 3)
    columns = found["columns"]
    assert columns["mail"] == {
        "type": "varchar", "missing": 2, "distinct": 3, "form": "e-mail address", "invalid": 1,
    }  # fmt: skip
    assert (columns["born"]["form"], columns["born"]["invalid"]) == ("date", 1)
    assert columns['odd "name']["missing"] == 1
    assert columns["many words"]["form"] is None, "two of five are no rule"
    assert "b at x" not in str(found)


@pytest.mark.parametrize("frame", [pd.DataFrame({"a": []}), pd.DataFrame({"a": [None, None]})])
def test_nothing_to_measure_is_no_error(frame: pd.DataFrame) -> None:
    found = analyze_data_quality(frame, "nothing")
    assert found["validity"] is None
    assert (found["completeness"] is None) == (not len(frame))


def test_the_report_is_there_right_after_the_run(desk: Desk) -> None:
    desk.files()
    assert get_quality_report() == {}
    desk.contract("loans", most=1)
    ingest.fn("desk_loans")
    ingest.fn("desk_titles")
    report = get_quality_report()
    assert {name: r["outcome"] for name, r in report.items()} == {
        "desk_loans": "held back",
        "desk_titles": "trusted",
    }
    (check,) = report["desk_loans"]["failing"]
    assert (check["check"], check["severity"], check["measured"]) == (
        "not too many rows", "critical", 2,
    )  # fmt: skip
    assert report["desk_titles"]["score"] == 100
