"""The chart of counts: labels stay short and different, the axis follows the frame."""

import pandas as pd

from bi_app.charts.counts import LABEL, Counts, labelled

LONG = "a title that is far too long for a chart"


def frame(*counts: tuple[str, int]) -> pd.DataFrame:
    return pd.DataFrame(counts, columns=["value", "rows"])


def test_labels_are_short_and_different() -> None:
    bars = labelled(frame((LONG, 3), (f"{LONG}, part two", 2), ("b", 1)))
    assert bars["label"].is_unique
    assert bars["label"].str.len().max() <= LABEL + len(" (2)")
    assert bars["full"].tolist() == [LONG, f"{LONG}, part two", "b"]


def test_another_frame_moves_the_axis_and_the_bars() -> None:
    chart = Counts(frame(("a", 3), ("b", 2)))
    chart.show(frame(("x", 40), ("y", 10), ("z", 1)))
    assert chart.figure.y_range.factors == ["z", "y", "x"]
    assert chart.figure.x_range.end >= 40
    assert chart.source.data["rows"].tolist() == [40, 10, 1]


def test_no_row_is_an_empty_chart() -> None:
    chart = Counts(frame())
    assert chart.figure.y_range.factors == []
    assert chart.figure.x_range.end > 0
