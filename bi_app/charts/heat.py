"""Rows by hour of the day, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, FixedTicker, Rect

from bi_app.charts import theme
from bi_app.charts.bars import short
from bi_app.charts.values import numbers
from bi_app.words import N_, _

TIP = "@row @from{safe}<br><b>@value{0,0.0}</b> "
IN_ALL = N_("@sum{0,0} in all")
DRAWN = ("_row", "hour", "value")


class Heat:
    """Cells of a table with `row`, `hour`, `from`, `value` and `sum`; `rows` is how many rows."""

    picks = ""

    def __init__(self, name: str, rows: int, row_height: int = 36) -> None:
        self.source = ColumnDataSource({key: [] for key in DRAWN}, name=name)
        self.mapper = theme.scale("checkouts")
        self.mapper.nan_color = "#00000000"
        self.rows = FactorRange(range_padding=0.02)
        self.figure = self._figure(name, rows, row_height)
        self.figures = [self.figure]

    def _figure(self, name: str, rows: int, row_height: int) -> Any:
        plot = theme.bare_figure(
            height=34 + row_height * rows, name=f"{name}_chart", x_range=(-0.5, 23.5),
            y_range=self.rows, min_border_left=40,
        )  # fmt: skip
        colour = {"field": "value", "transform": self.mapper}
        cells = theme.draw(
            plot,
            self.source,
            Rect(
                x="hour",
                y="_row",
                width=0.94,
                height=0.9,
                line_color=None,
                border_radius=5,
                fill_color=colour,
            ),
            hovered={"line_color": theme.MUTED, "line_width": 2},
        )
        self.hover = theme.hover(renderers=[cells])
        plot.add_tools(self.hover)
        plot.ygrid.visible = False
        self.ticker = plot.xaxis[0].ticker = FixedTicker(ticks=list(range(0, 24, 2)))
        plot.xaxis.major_label_overrides = {h: f"{h:02}:00" for h in range(24)}
        return plot

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any]) -> None:
        """Show the columns of a table, row by row, the first on top."""
        names = list(dict.fromkeys(data["row"]))
        words = dict(zip(names, short(names), strict=True))
        values = numbers(data["value"])
        self.mapper.high = max(float(np.nanmax(values, initial=0)), 1e-9)
        hours = data["hour"]
        self.rows.factors = list(words.values())[::-1]
        if hours:
            self.figure.x_range.update(start=min(hours) - 0.5, end=max(hours) + 0.5)
            self.ticker.ticks = list(range(min(hours), max(hours) + 1, 2))
        self.source.data = {**data, "value": values, "_row": [words[r] for r in data["row"]]}

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """A cell chooses nothing."""
        return {}

    def paint(self, series: str, unit: str) -> None:
        """Take the colour and unit of a measure."""
        average = _("{unit} on average", unit=_(unit))
        theme.say(self.hover, f"{TIP}{average}<br><small>{_(IN_ALL)}</small>")
        self.mapper.palette = theme.shades(series)
