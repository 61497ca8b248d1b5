"""Bars of days, weeks, months and years: where they stand, what they are called, what one opens."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from bokeh.models import Range1d

from bi_app.charts.spans import Spans, said
from bi_app.charts.values import DAY_MS, milliseconds, numbers

SPANS = {
    "day": (dt.date(2026, 3, 3), dt.date(2026, 3, 3), "Tue, 3 Mar 2026"),
    "week": (dt.date(2026, 3, 2), dt.date(2026, 3, 8), "2 Mar to 8 Mar 2026"),
    "month": (dt.date(2026, 3, 1), dt.date(2026, 3, 31), "March 2026"),
    "year": (dt.date(2026, 1, 1), dt.date(2026, 12, 31), "2026"),
}


@pytest.fixture
def spans() -> Spans:
    return Spans("over_time", (), height=200, x_range=Range1d(start=0, end=1))


@pytest.mark.parametrize("grain", SPANS)
def test_a_span_is_called_by_its_days(grain: str) -> None:
    start, end, name = SPANS[grain]
    assert said({"start": [start], "end": [end]}, grain) == [name]


@pytest.mark.parametrize(
    ("grain", "finer"), [("year", "month"), ("month", "day"), ("week", "day"), ("day", "day")]
)
def test_a_click_on_a_span_chooses_its_days_by_the_finer_grain(
    spans: Spans, grain: str, finer: str
) -> None:
    start, end, _name = SPANS[grain]
    spans.source.data = spans.placed({"start": [start], "end": [end]}, grain)
    assert spans.choice(0, {"grain": grain}) == {
        "period": "custom", "start": str(start), "end": str(end), "grain": finer,
    }  # fmt: skip


def test_a_bar_stands_over_the_whole_of_its_days(spans: Spans) -> None:
    start, end, _name = SPANS["week"]
    found = spans.placed({"start": [start], "end": [end]}, "week")
    (low,) = milliseconds([start])
    assert found["_middle"] == [low + 3.5 * DAY_MS]
    assert 6 * DAY_MS < found["_width"][0] < 7 * DAY_MS
    spans.frame({"start": "2026-03-02", "end": "2026-03-08"})
    assert (spans.figure.x_range.start, spans.figure.x_range.end) == (low, low + 7 * DAY_MS)


def test_a_layer_of_a_chart_is_one_glyph(spans: Spans) -> None:
    spans.draw_mean()
    for drawn in spans.figure.renderers:
        others = [drawn.selection_glyph, drawn.nonselection_glyph, drawn.muted_glyph]
        assert others == [None] * 3, drawn.glyph


def test_what_is_missing_is_not_a_number() -> None:
    values: list[Any] = [1, None, 2.5]
    assert np.array_equal(numbers(values), [1, np.nan, 2.5], equal_nan=True)
    assert not len(numbers([]))
