"""Spans of time (days, weeks, months or years) as bars: where they stand and what they are called.

What a chart of one figure over time adds to them, it draws itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, GlyphRenderer, Line, Range1d, TapTool, VBar

from bi_app import words
from bi_app.charts import theme
from bi_app.charts.values import DAY_MS, milliseconds
from bi_app.words import _

DRAWN = ("_middle", "_width", "value", "mean")
FINER = {"year": "month", "month": "day", "week": "day"}


class Spans:
    """Bars of a table with `start`, `end`, `value` and `mean`; a click on one opens its days.

    `keys` are further columns that are drawn, `x_range` is the period in milliseconds.
    """

    picks = "grain"

    def __init__(self, name: str, keys: Sequence[str], *, height: int, x_range: Range1d) -> None:
        self.source = ColumnDataSource({key: [] for key in (*DRAWN, *keys)}, name=name)
        self.figure = theme.bare_figure(
            height=height, min_border_left=46, x_range=x_range, y_range=theme.from_zero(),
            x_axis_type="datetime", name=f"{name}_chart",
        )  # fmt: skip
        self.figures = [self.figure]
        self.bars = theme.draw(
            self.figure,
            self.source,
            VBar(x="_middle", top="value", width="_width", line_color=None, fill_alpha=0.34),
        )
        self.hover = theme.hover(renderers=[self.bars], mode="vline", point_policy="follow_mouse")
        self.figure.add_tools(self.hover, TapTool(renderers=[self.bars]))
        theme.counted(self.figure.yaxis[0])
        theme.dated(self.figure.xaxis[0])

    def draw_mean(self) -> GlyphRenderer:
        """Draw the moving mean over what is there."""
        return theme.draw(self.figure, self.source, Line(x="_middle", y="mean", line_width=2.4))

    @staticmethod
    def placed(data: Mapping[str, Sequence[Any]], grain: str) -> dict[str, Any]:
        """The columns that say where the spans of a table stand, and what they are called."""
        low, last = milliseconds(data["start"]), milliseconds(data["end"])
        high = last + DAY_MS
        return {
            "start": low, "end": last, "_middle": (low + high) / 2, "_width": (high - low) * 0.86,
            "_said": said(data, grain),
        }  # fmt: skip

    def frame(self, choice: Mapping[str, Any]) -> None:
        """Move to the period of a choice."""
        start, end = milliseconds([choice["start"], choice["end"]])
        self.figure.x_range.update(start=start, end=end + DAY_MS)

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """What a click on a bar chooses: its days, by the next finer grain."""
        start, end = (
            str(np.datetime64(int(self.source.data[key][place]), "ms").astype("datetime64[D]"))
            for key in ("start", "end")
        )
        grain = FINER.get(choice["grain"], "day")
        return {"period": "custom", "start": start, "end": end, "grain": grain}


def said(data: Mapping[str, Sequence[Any]], grain: str) -> list[str]:
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
