"""Weekday by hour: how busy an average week is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Rect

from bi_app.charts import theme
from bi_app.words import N_, _

TIP = "@weekday @from{safe}<br><b>@mean{0,0.0}</b> "
IN_ALL = N_("@sum{0,0} in all")


class Busy:
    """A heat map of 7 weekdays by the hours in which the measure occurs."""

    def __init__(self, weekdays: Sequence[str]) -> None:
        self.hours, self.weekdays = range(24), weekdays
        self.source = ColumnDataSource(self._frame(), name="busy")
        self.mapper = theme.scale("checkouts")
        self.figure = self._figure()

    def _frame(self) -> dict[str, Any]:
        hours = np.tile(np.array(self.hours), 7)
        weekdays = np.repeat(np.arange(7), len(self.hours))
        return {
            "x": hours,
            "y": weekdays,
            "weekday": [self.weekdays[int(w)] for w in weekdays],
            "from": [clock(h) for h in hours],
            "mean": np.zeros(len(hours)),
            "sum": np.zeros(len(hours), np.int32),
        }

    def _figure(self) -> Any:
        plot = theme.bare_figure(
            height=286,
            name="busy_chart",
            min_border_left=40,
            x_range=(-0.5, 23.5),
            y_range=(6.5, -0.5),
        )
        cells = theme.draw(
            plot,
            self.source,
            Rect(
                x="x",
                y="y",
                width=0.94,
                height=0.9,
                line_color=None,
                border_radius=5,
                fill_color={"field": "mean", "transform": self.mapper},
            ),
            hovered={"line_color": theme.MUTED, "line_width": 2},
        )
        self.hover = theme.hover(renderers=[cells])
        plot.add_tools(self.hover)
        plot.ygrid.visible = False
        plot.yaxis.ticker = FixedTicker(ticks=list(range(7)))
        plot.yaxis.major_label_overrides = dict(enumerate(self.weekdays))
        self.ticker = plot.xaxis[0].ticker = FixedTicker(ticks=list(self.hours)[::2])
        plot.xaxis.major_label_overrides = {h: f"{h:02}:00" for h in self.hours}
        return plot

    def show(
        self, hours: range, sums: np.ndarray[Any, Any], weekdays: np.ndarray[Any, Any]
    ) -> None:
        """Show sums by weekday and hour as means; `weekdays` is how often each occurs."""
        moved = hours != self.hours
        self.hours = hours
        mean = sums / np.maximum(weekdays, 1)[:, None]
        self.mapper.high = max(float(mean.max(initial=0)), 1e-9)
        self.source.data = {
            **(self._frame() if moved else self.source.data),
            "mean": np.round(mean.ravel(), 1),
            "sum": sums.ravel().astype(np.int32),
        }
        if moved:
            self.figure.x_range.update(start=hours.start - 0.5, end=hours.stop - 0.5)
            self.ticker.ticks = list(hours)[::2]

    def paint(self, measure: str, unit: str) -> None:
        """Take the colour and unit of a measure."""
        average = _("{unit} on average", unit=_(unit))
        theme.say(self.hover, f"{TIP}{average}<br><small>{_(IN_ALL)}</small>")
        self.mapper.palette = theme.shades(measure)


def clock(hour: int) -> str:
    """An hour of the day as a span: 14:00–15:00."""
    return f"{hour:02}:00–{(hour + 1) % 24:02}:00"
