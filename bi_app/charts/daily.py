"""Circulation a day, with a strip below that shows everything and moves the period."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    Line,
    Range1d,
    RangeTool,
    VArea,
    VAreaStep,
)

from bi_app.charts import theme
from bi_app.charts.values import DAY_MS
from bi_app.words import N_, _

TIP = "@day{day}<br><b>@value{0,0}</b> "
MEAN = N_("7-day mean @mean{0,0}")


class Daily:
    """Bars of days and a line of their 7-day mean; `strip` carries the brush."""

    def __init__(self, first_day: int, days: int) -> None:
        """`first_day` in days since 1970; `days` the length of the data."""
        self.first_day, self.length = first_day, days
        self.source = ColumnDataSource(_blank(), name="daily")
        self.x_range = Range1d(start=0, end=1, name="daily_range", min_interval=3 * DAY_MS)
        self.y_range = theme.from_zero()
        self.figure = self._figure()
        self.strip = self._strip()

    def _figure(self) -> Any:
        plot = theme.bare_figure(
            height=260,
            min_border_left=46,
            x_range=self.x_range,
            y_range=self.y_range,
            x_axis_type="datetime",
            name="daily_chart",
        )
        # One path: hundreds of single bars off to the left would pile up at the frame's edge.
        self.bars = theme.draw(
            plot,
            self.source,
            VAreaStep(x="middle", y1=0, y2="value", step_mode="center", fill_alpha=0.3),
        )
        self.line = theme.draw(plot, self.source, Line(x="middle", y="mean", line_width=2.4))
        self.hover = theme.hover(
            renderers=[self.line],
            mode="vline",
            line_policy="nearest",
            point_policy="follow_mouse",
        )
        plot.add_tools(self.hover)
        theme.counted(plot.yaxis[0])
        theme.dated(plot.xaxis[0])
        return plot

    def _strip(self) -> Any:
        low = self.first_day * DAY_MS
        plot = theme.bare_figure(
            height=58,
            min_border_left=46,
            x_range=Range1d(start=low, end=low + self.length * DAY_MS),
            y_range=theme.from_zero(),
            x_axis_type="datetime",
            name="daily_strip",
        )
        self.area = theme.draw(
            plot, self.source, VArea(x="middle", y1=0, y2="mean", fill_alpha=0.35)
        )
        tool = RangeTool(x_range=self.x_range)
        tool.overlay.fill_color, tool.overlay.fill_alpha = theme.MUTED, 0.18
        tool.overlay.line_color, tool.overlay.line_width = theme.MUTED, 1
        tool.overlay.line_dash = "solid"
        plot.add_tools(tool)
        plot.yaxis.visible = plot.ygrid.visible = False
        theme.dated(plot.xaxis[0], ticks=6)
        return plot

    def reach(self, first_day: int, days: int) -> None:
        """Make room for data that begins on another day or is of another length."""
        self.first_day, self.length = first_day, days
        low = first_day * DAY_MS
        self.strip.x_range.update(start=low, end=low + days * DAY_MS)

    def show(self, values: np.ndarray[Any, Any], start: int, end: int) -> None:
        """Show `values`, one a day from the first day on, and move to a period."""
        mean = rolling_mean(values)
        days = (np.arange(len(values) + 1) + self.first_day) * float(DAY_MS)
        self.source.data = {  # the day after the last closes the last step
            "day": days,
            "middle": days + DAY_MS / 2,
            "value": np.append(values, 0).astype(np.int32),
            "mean": np.append(mean, np.nan),
        }
        self.strip.y_range.end = max(1.0, float(mean.max()) * 1.1)
        self.move(values, start, end)

    def move(self, values: np.ndarray[Any, Any], start: int, end: int) -> None:
        """Move to a period, from one day number to another, inclusive; bars keep their data."""
        seen = values[start - self.first_day : end + 1 - self.first_day]
        self.x_range.update(start=start * DAY_MS, end=(end + 1) * DAY_MS)
        self.y_range.end = max(1.0, float(seen.max(initial=0)) * 1.06)

    def paint(self, measure: str, unit: str) -> None:
        """Take the colour and unit of a measure."""
        theme.say(self.hover, f"{TIP}{_(unit)}<br><small>{_(MEAN)}</small>")
        colour = theme.SERIES[measure]
        for glyph in (self.bars.glyph, self.area.glyph):
            glyph.fill_color = colour
        self.line.glyph.line_color = colour


def rolling_mean(values: np.ndarray[Any, Any], days: int = 7) -> np.ndarray[Any, Any]:
    """The mean of each day and the days before it, up to `days` in all; rounded to 0.1."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - days, 0)
    mean: np.ndarray[Any, Any] = np.round((sums[ends] - sums[starts]) / (ends - starts), 1)
    return mean


def _blank() -> dict[str, list[Any]]:
    return {"day": [], "middle": [], "value": [], "mean": []}
