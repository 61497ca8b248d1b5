"""Rules of products bought together: support across, confidence up, lift as the size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d, Scatter

from bi_app.charts import theme
from bi_app.words import N_, _

LEAST, GROWN = 6.0, 20.0  # pixels across: of a lift of 1, and what the greatest has more
TIP = N_(
    "@name<br><b>lift @lift{0,0.[0]}</b><br><small>confidence @confidence{0.0} %, support"
    " @support{0.00} %, @baskets{0,0} baskets</small>"
)


class Rules:
    """Marks of the table's first rules; `most` is how many there is room for."""

    picks = ""

    def __init__(self, name: str, most: int) -> None:
        self.most = most
        self.source = ColumnDataSource(
            {key: [] for key in ("support", "confidence", "lift", "_size")}, name=name
        )
        plot = theme.bare_figure(
            height=320, min_border_left=46, name=f"{name}_chart", x_range=Range1d(start=0, end=1),
            y_range=Range1d(start=0, end=105),
        )  # fmt: skip
        mark = Scatter(
            x="support", y="confidence", size="_size", line_color=None,
            fill_color=theme.SERIES["total"], fill_alpha=0.5,
        )  # fmt: skip
        hover = theme.hover(renderers=[theme.draw(plot, self.source, mark)])
        theme.say(hover, _(TIP))
        plot.add_tools(hover)
        plot.xgrid.visible = True
        for axis in plot.axis:
            theme.counted(axis)
            axis.ticker.min_interval = 0.1
        self.figure, self.figures = plot, [plot]

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any]) -> None:
        """Show the columns of the table of rules."""
        shown: dict[str, Any] = {key: list(values)[: self.most] for key, values in data.items()}
        lift, support = (np.array(shown[key], float) for key in ("lift", "support"))
        shown["_size"] = LEAST + GROWN * np.sqrt(lift / max(float(lift.max(initial=0)), 1e-9))
        self.figure.x_range.end = max(float(support.max(initial=0)) * 1.08, 0.1)
        self.source.data = shown

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """A mark chooses nothing."""
        return {}

    def paint(self, series: str, unit: str) -> None:
        """Its colour is its own."""
