"""One value over time: a line over a tinted area, failing points marked, a bound dashed.

A single value is a point.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    Line,
    Range1d,
    Scatter,
    Span,
    VArea,
)

from bi_app import words
from bi_app.charts import theme
from bi_app.words import _

BAD = "#c25542"
AIR = 3_600_000  # milliseconds to both sides of a single moment; twelve times that for a day
Point = tuple[dt.datetime | dt.date, float | None, bool]


class Trend:
    """Values in order of time; `source` holds day, value, said and bad for the table behind."""

    def __init__(self, name: str, height: int = 230, colour: str = "checkouts") -> None:
        self.source = ColumnDataSource(_blank(), name=name)
        self.marks = ColumnDataSource({"at": [], "value": [], "colour": []}, name=f"{name}_marks")
        self._colour = theme.SERIES[colour]
        self.bound = Span(
            location=None, dimension="width", line_color=theme.MUTED, line_dash="dashed"
        )
        self.figure = self._figure(name, height)

    def _figure(self, name: str, height: int) -> Any:
        colour = self._colour
        plot = theme.bare_figure(
            height=height, min_border_left=46, x_axis_type="datetime", name=f"{name}_chart",
            x_range=Range1d(start=0, end=1), y_range=Range1d(start=0, end=1),
        )  # fmt: skip
        area = VArea(x="at", y1="floor", y2="value", fill_color=colour, fill_alpha=0.16)
        mark = Scatter(x="at", y="value", size=7, fill_color="colour", line_color=None)
        theme.draw(plot, self.source, area)
        line = theme.draw(
            plot, self.source, Line(x="at", y="value", line_width=2.2, line_color=colour)
        )
        theme.draw(plot, self.marks, mark)
        self.hover = theme.hover(
            renderers=[line], mode="vline", line_policy="nearest", point_policy="follow_mouse"
        )
        plot.add_tools(self.hover)
        plot.add_layout(self.bound)
        plot.yaxis.ticker = BasicTicker(desired_num_ticks=4, num_minor_ticks=0)
        return plot

    def show(
        self,
        points: Sequence[Point],
        unit: str,
        *,
        format: str = "0,0.[00]",
        top: float | None = None,
        bound: float | None = None,
    ) -> None:
        """Show points (when, value, whether it failed); `bound` is drawn as a dashed line."""
        points = [p for p in points if p[1] is not None]
        values = [float(p[1] or 0) for p in points]
        low, high = _range([*values, *([] if bound is None else [bound])], top)
        at = [_ms(p[0]) for p in points]
        said = [_said(p[0]) for p in points]
        self.source.data = {
            "at": at, "day": [_iso(p[0]) for p in points], "value": values, "said": said,
            "floor": [low] * len(at), "state": [_("failed") if p[2] else _("held") for p in points],
        }  # fmt: skip
        marked = [i for i, p in enumerate(points) if p[2] or len(points) == 1]  # one makes no line
        self.marks.data = {
            "at": [at[i] for i in marked], "value": [values[i] for i in marked],
            "colour": [BAD if points[i][2] else self._colour for i in marked],
        }  # fmt: skip
        hours = any(isinstance(p[0], dt.datetime) for p in points)
        margin = max((max(at) - min(at)) * 0.01, AIR if hours else 12 * AIR) if at else 1
        if at:
            self.figure.x_range.update(start=min(at) - margin, end=max(at) + margin)
        theme.dated(self.figure.xaxis[0], hours=hours)
        self.figure.y_range.update(start=low, end=high)
        self.figure.yaxis.formatter = theme.figures()
        self.figure.yaxis.ticker.min_interval = 0 if "." in format else 1
        self.bound.location = bound
        theme.say(self.hover, f"@said<br><b>@value{{{format}}}</b> {unit}")


def _range(values: Sequence[float], top: float | None) -> tuple[float, float]:
    """From nothing, or near the lowest where there is a top; a little air above."""
    if not values:
        return 0.0, 1.0
    if top is not None:
        low = max(0.0, min(values) - max(2.0, (top - min(values)) * 0.4))
        return low, top + (top - low) * 0.04
    return min(0.0, *values), max(*values, 0.0) * 1.1 or 1.0


def _ms(moment: dt.datetime | dt.date) -> float:
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC)
    return moment.timestamp() * 1000


def _iso(moment: dt.datetime | dt.date) -> str:
    return moment.isoformat()


def _said(moment: dt.datetime | dt.date) -> str:
    return words.moment(moment) if isinstance(moment, dt.datetime) else words.day(moment)


def _blank() -> dict[str, list[Any]]:
    return {k: [] for k in ("at", "day", "value", "said", "floor", "state")}
