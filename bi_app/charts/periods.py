"""Days, weeks, months or years as bars, with their moving mean and the same a year before.

A strip below shows everything there is and carries the brush that moves the period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Line, Range1d, RangeTool, TapTool, VArea, VBar

from bi_app import words
from bi_app.charts import theme
from bi_app.charts.daily import DAY_MS
from bi_app.words import N_, _

TIP = "@_said<br><b>@value{0,0}</b> "
MEANS = N_("moving mean @mean{0,0.[0]}, a year before @before{0,0}")
DRAWN = ("_middle", "_width", "value", "mean", "mean_before")
FINER = {"year": "month", "month": "day", "week": "day"}


class Periods:
    """A chart of the table `over_time`; a click on a bar opens it into months or days."""

    picks = "grain"

    def __init__(self, name: str) -> None:
        self.source = ColumnDataSource({key: [] for key in DRAWN}, name=name)
        self.whole = ColumnDataSource({"middle": [], "mean": []}, name=f"{name}_whole")
        self.x_range = Range1d(start=0, end=1, name="brush_range", min_interval=3 * DAY_MS)
        self.figure, self.strip = self._figure(name), self._strip(name)
        self.figures = [self.figure, self.strip]

    def _figure(self, name: str) -> Any:
        plot = theme.bare_figure(
            height=280, min_border_left=46, x_range=self.x_range, y_range=theme.from_zero(),
            x_axis_type="datetime", name=f"{name}_chart",
        )  # fmt: skip
        self.bars = theme.draw(
            plot,
            self.source,
            VBar(x="_middle", top="value", width="_width", line_color=None, fill_alpha=0.34),
        )
        theme.draw(
            plot,
            self.source,
            Line(
                x="_middle",
                y="mean_before",
                line_width=1.6,
                line_dash=[4, 4],
                line_color=theme.MUTED,
            ),
        )
        self.line = theme.draw(plot, self.source, Line(x="_middle", y="mean", line_width=2.4))
        self.hover = theme.hover(
            renderers=[self.bars], mode="vline", point_policy="follow_mouse"
        )  # fmt: skip
        plot.add_tools(self.hover, TapTool(renderers=[self.bars]))
        theme.counted(plot.yaxis[0])
        theme.dated(plot.xaxis[0])
        return plot

    def _strip(self, name: str) -> Any:
        plot = theme.bare_figure(
            height=58, min_border_left=46, x_range=Range1d(start=0, end=1),
            y_range=theme.from_zero(), x_axis_type="datetime", name=f"{name}_strip",
        )  # fmt: skip
        self.area = theme.draw(
            plot, self.whole, VArea(x="middle", y1=0, y2="mean", fill_alpha=0.35)
        )
        tool = RangeTool(x_range=self.x_range)
        tool.overlay.update(
            fill_color=theme.MUTED, fill_alpha=0.18, line_color=theme.MUTED, line_width=1,
            line_dash="solid",
        )  # fmt: skip
        plot.add_tools(tool)
        plot.yaxis.visible = plot.ygrid.visible = False
        theme.dated(plot.xaxis[0], ticks=6)
        return plot

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any]) -> None:
        """Show the columns of the table for a choice."""
        self.source.selected.indices = []
        low, high = _ms(data["start"]), _ms(data["end"]) + DAY_MS
        kept = {k: _numbers(data[k]) for k in ("value", "mean", "before", "mean_before", "change")}
        self.source.data = {
            "start": low, "end": high - DAY_MS, **kept, "_middle": (low + high) / 2,
            "_width": (high - low) * 0.86, "_said": _said(data, choice["grain"]),
        }  # fmt: skip
        start, end = _ms([choice["start"], choice["end"]])
        self.x_range.update(start=start, end=end + DAY_MS)
        top = np.nanmax(np.concatenate([kept["value"], kept["mean_before"], [1.0]]))
        self.figure.y_range.end = float(top) * 1.06

    def show_whole(self, first: int, mean: np.ndarray[Any, Any]) -> None:
        """Show in the strip everything there is: means of days from the day `first` on."""
        middle = (np.arange(len(mean)) + first + 0.5) * float(DAY_MS)
        self.whole.data = {"middle": middle, "mean": mean}
        low, high = first * DAY_MS, (first + len(mean)) * DAY_MS
        self.strip.x_range.update(start=low, end=high)
        self.strip.y_range.end = max(1.0, float(mean.max(initial=0)) * 1.1)

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """What a click on a bar chooses: its days, by the next finer grain."""
        start, end = (
            str(np.datetime64(int(self.source.data[key][place]), "ms").astype("datetime64[D]"))
            for key in ("start", "end")
        )
        grain = FINER.get(choice["grain"], "day")
        return {"period": "custom", "start": start, "end": end, "grain": grain}

    def paint(self, series: str, unit: str) -> None:
        """Take the colour and unit of a measure."""
        theme.say(self.hover, f"{TIP}{_(unit)}<br><small>{_(MEANS)}</small>")
        colour = theme.SERIES[series]
        for glyph in (self.bars.glyph, self.area.glyph):
            glyph.fill_color = colour
        self.line.glyph.line_color = colour


def _ms(days: Any) -> np.ndarray[Any, Any]:
    return np.array(days, "datetime64[D]").astype("int64") * float(DAY_MS)


def _numbers(values: Any) -> np.ndarray[Any, Any]:
    return np.array([np.nan if v is None else v for v in values], float)


def _said(data: Mapping[str, Sequence[Any]], grain: str) -> list[str]:
    """How a span is called: Tue, 3 Mar 2026, 3 Mar to 9 Mar 2026, March 2026, 2026."""
    if grain == "week":
        ends = zip(data["start"], data["end"], strict=True)
        return [
            _("{first} to {last}", first=words.short_day(low), last=words.day(high))
            for low, high in ends
        ]
    if grain == "year":
        return [str(day.year) for day in data["start"]]
    write = words.full_month if grain == "month" else words.weekday_day
    return [write(day) for day in data["start"]]
