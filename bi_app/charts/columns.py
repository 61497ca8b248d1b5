"""Upright bars in the order of a table's rows, such as months, with a line above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, Line, VBar

from bi_app.charts import theme
from bi_app.charts.values import numbers
from bi_app.words import _

ROOM = 13


class Columns:
    """Bars of `value`, and a line of `line` where that is named; both keys of the table."""

    picks = ""

    def __init__(
        self,
        name: str,
        *,
        line: str = "",
        series: str = "checkouts",
        tip: str = "",
        height: int = 260,
    ) -> None:
        """`tip` is the second line of the hover box, with the table's keys as @key."""
        self.line, self.tip = line, tip
        keys = ("_label", "value", *((line,) if line else ()))
        self.source = ColumnDataSource({key: [] for key in keys}, name=name)
        self.names = FactorRange(range_padding=0.02)
        plot = theme.bare_figure(
            height=height, min_border_left=46, x_range=self.names, y_range=theme.from_zero(),
            name=f"{name}_chart",
        )  # fmt: skip
        bars = theme.draw(
            plot,
            self.source,
            VBar(
                x="_label",
                top="value",
                width=0.72,
                line_color=None,
                fill_color=theme.SERIES[series],
                fill_alpha=0.5,
                border_radius=3,
            ),
        )
        if line:
            theme.draw(
                plot,
                self.source,
                Line(x="_label", y=line, line_width=2.4, line_color=theme.SERIES["renewals"]),
            )
        self.hover = theme.hover(renderers=[bars], mode="vline", point_policy="follow_mouse")
        theme.say(self.hover, f"@name<br>{_(tip)}")
        plot.add_tools(self.hover)
        theme.counted(plot.yaxis[0])
        theme.apart(plot.xaxis[0])
        self.figure, self.figures = plot, [plot]

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any]) -> None:
        """Show the columns of a table; where there are many, only some are labelled."""
        keys = [key for key in data if key in ("value", self.line)]
        counted = {k: numbers(data[k]) for k in keys}
        names = [str(name) for name in data["name"]]
        step = max(1, -(-len(names) // ROOM))
        shown = {n: n if (len(names) - 1 - i) % step == 0 else "" for i, n in enumerate(names)}
        self.names.factors = names
        self.figure.xaxis[0].major_label_overrides = shown
        tops = [float(np.nanmax(v, initial=0)) for v in counted.values()]
        self.figure.y_range.end = max([*tops, 1e-9]) * 1.06
        self.source.data = {**data, **counted, "_label": names}

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """A bar chooses nothing."""
        return {}

    def paint(self, series: str, unit: str) -> None:
        """Its colour is its own."""
