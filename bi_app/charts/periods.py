"""Days, weeks, months or years as bars, with their moving mean and the same a year before.

A strip below shows everything there is and carries the brush that moves the period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Line, Range1d, RangeTool, VArea

from bi_app.charts import theme
from bi_app.charts.spans import Spans
from bi_app.charts.values import DAY_MS, numbers
from bi_app.words import N_, _

TIP = "@_said<br><b>@value{0,0}</b> "
MEANS = N_("moving mean @mean{0,0.[0]}, a year before @before{0,0}")


class Periods(Spans):
    """A chart of the table `over_time`; a click on a bar opens it into months or days."""

    def __init__(self, name: str) -> None:
        self.x_range = Range1d(start=0, end=1, name="brush_range", min_interval=3 * DAY_MS)
        super().__init__(name, ("mean_before",), height=280, x_range=self.x_range)
        before = Line(
            x="_middle", y="mean_before", line_width=1.6, line_dash=[4, 4], line_color=theme.MUTED
        )
        theme.draw(self.figure, self.source, before)
        self.line = self.draw_mean()
        self.whole = ColumnDataSource({"middle": [], "mean": []}, name=f"{name}_whole")
        self.strip = self._strip(name)
        self.figures = [self.figure, self.strip]

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
        kept = {k: numbers(data[k]) for k in ("value", "mean", "before", "mean_before", "change")}
        self.source.data = {**kept, **self.placed(data, choice["grain"])}
        self.frame(choice)
        top = np.nanmax(np.concatenate([kept["value"], kept["mean_before"], [1.0]]))
        self.figure.y_range.end = float(top) * 1.06

    def show_whole(self, first: int, mean: np.ndarray[Any, Any]) -> None:
        """Show in the strip everything there is: means of days from the day `first` on."""
        middle = (np.arange(len(mean)) + first + 0.5) * float(DAY_MS)
        self.whole.data = {"middle": middle, "mean": mean}
        low, high = first * DAY_MS, (first + len(mean)) * DAY_MS
        self.strip.x_range.update(start=low, end=high)
        self.strip.y_range.end = max(1.0, float(mean.max(initial=0)) * 1.1)

    def paint(self, series: str, unit: str) -> None:
        """Take the colour and unit of a measure."""
        theme.say(self.hover, f"{TIP}{_(unit)}<br><small>{_(MEANS)}</small>")
        colour = theme.SERIES[series]
        for glyph in (self.bars.glyph, self.area.glyph):
            glyph.fill_color = colour
        self.line.glyph.line_color = colour
