"""A page of tables with one trend over days among them: how it is drawn and shown anew."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from bi_app.charts.trend import Point, Trend
from bi_app.pages.shell import Controls


class Answer(NamedTuple):
    """What the browser is told, and the days that the chart draws."""

    told: dict[str, Any]
    days: Sequence[Point]


class TrendPage:
    """The page of one session. `name` is that of the chart's source, `unit` what it counts."""

    def __init__(self, name: str, unit: str, colour: str, answer: Answer) -> None:
        self.chart, self.unit = Trend(name, colour=colour), unit
        self.controls = Controls(**answer.told)
        self.draw(answer.days)

    def show(self, answer: Answer) -> None:
        """Send an answer; the chart is drawn with the document's lock, where there is one."""
        document = self.chart.figure.document
        if document is not None:
            document.add_next_tick_callback(partial(self.draw, answer.days))
        self.controls.param.update(message={}, **answer.told)

    def draw(self, days: Sequence[Point]) -> None:
        """Draw the days."""
        self.chart.show(days, self.unit, format="0,0")
