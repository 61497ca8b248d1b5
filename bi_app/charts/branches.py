"""Branches side by side, each with a mark for the period before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, HBar, Rect, TapTool

from bi_app.charts import theme
from bi_app.words import N_, _

TIP = "@name<br><b>@value{0,0}</b> "
BEFORE = N_("@change · @before_text in the period before")


class Branches:
    """Horizontal bars, the busiest on top; a click on one chooses that branch."""

    def __init__(self, count: int) -> None:
        self.source = ColumnDataSource(
            {k: [] for k in ("code", "name", "value", "before", "before_text", "change", "alpha")},
            name="branches",
        )
        self.names = FactorRange(range_padding=0.02)
        self.figure = self._figure(count)

    def _figure(self, count: int) -> Any:
        plot = theme.bare_figure(
            height=max(140, 46 + 20 * count),
            x_range=theme.from_zero(),
            y_range=self.names,
            name="branches_chart",
        )
        self.bars = theme.draw(
            plot,
            self.source,
            HBar(
                y="name",
                right="value",
                height=0.62,
                line_color=None,
                fill_alpha="alpha",
                border_radius=3,
            ),
        )
        theme.draw(
            plot,
            self.source,
            Rect(
                x="before",
                y="name",
                width=2,
                width_units="screen",
                height=0.82,
                fill_color=theme.MUTED,
                line_color=None,
            ),
        )
        self.hover = theme.hover(renderers=[self.bars])
        plot.add_tools(self.hover, TapTool(renderers=[self.bars]))
        plot.ygrid.visible = False
        plot.xgrid.visible = True
        theme.counted(plot.xaxis[0])
        return plot

    def show(self, frame: dict[str, Any]) -> None:
        """Show a frame with the columns of the source, the busiest first."""
        self.source.selected.indices = []
        self.names.factors = list(frame["name"])[::-1]
        highest = max([*frame["value"], *(b for b in frame["before"] if not math.isnan(b)), 1])
        self.figure.x_range.end = float(np.ceil(highest * 1.05))
        self.source.data = frame

    def paint(self, measure: str, unit: str) -> None:
        """Take the colour and unit of a measure."""
        theme.say(self.hover, f"{TIP}{_(unit)}<br><small>{_(BEFORE)}</small>")
        self.bars.glyph.fill_color = theme.SERIES[measure]
