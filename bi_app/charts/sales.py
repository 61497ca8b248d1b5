"""A figure of the sales over time, with the late events and duplicates of the same days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import GlyphRenderer, Legend, LegendItem, LinearAxis, Range1d, Scatter, Segment

from bi_app import words
from bi_app.charts import theme
from bi_app.charts.spans import Spans
from bi_app.charts.values import numbers
from bi_app.words import N_, _

COUNTERS = "counters"
ROOM = 3.2  # the counters stay in the lower third, so that they do not hide the line
TIP = N_(
    "@_said<br><b>@value{0,0.[00]}</b><br><small>mean @mean{0,0.[00]}; @orders{0,0} orders<br>"
    "@late{0,0} late, @duplicates{0,0} duplicates@_stamp{safe}</small>"
)


class SalesOverTime(Spans):
    """Bars of the figure, its moving mean, and on the right scale the counters as marks.

    A restated day, week or month has a mark on top of its bar.
    """

    def __init__(self, name: str) -> None:
        keys = ("_late", "_duplicates", "_restated")
        super().__init__(name, keys, height=320, x_range=Range1d(start=0, end=1))
        self.bars.glyph.fill_color = theme.SERIES["checkouts"]
        self.draw_mean().glyph.line_color = theme.SERIES["checkouts"]
        self.figure.extra_y_ranges = {COUNTERS: theme.from_zero()}
        self._legend([
            (_("late"), self._counter("_late", "renewals", "circle")),
            (_("duplicates"), self._counter("_duplicates", "returns", "square")),
            (_("restated"), self._restated()),
        ])  # fmt: skip
        self._right_axis()
        theme.say(self.hover, _(TIP))

    def _counter(self, key: str, series: str, marker: str) -> GlyphRenderer:
        """Marks of a counter on the right scale, each on a stem."""
        colour = theme.SERIES[series]
        stem = Segment(x0="_middle", x1="_middle", y0=0, y1=key, line_color=colour, line_width=1.4)
        mark = Scatter(
            x="_middle", y=key, size=8, marker=marker, fill_color=colour, line_color=None
        )
        theme.draw(self.figure, self.source, stem, y_range=COUNTERS)
        return theme.draw(self.figure, self.source, mark, y_range=COUNTERS)

    def _restated(self) -> GlyphRenderer:
        """Marks of what was restated, on the scale of the figure."""
        mark = Scatter(
            x="_middle", y="_restated", size=9, marker="inverted_triangle", line_color=None,
            fill_color=theme.SERIES["in_house_uses"],
        )  # fmt: skip
        return theme.draw(self.figure, self.source, mark)

    def _legend(self, marks: Sequence[tuple[str, GlyphRenderer]]) -> None:
        """Say what the marks are."""
        items = [LegendItem(label=label, renderers=[drawn]) for label, drawn in marks]
        self.figure.add_layout(Legend(
            items=items, location="top_left", orientation="horizontal", background_fill_color=None,
            border_line_color=None, label_text_color=theme.MUTED, label_text_font_size="12px",
            label_text_font=theme.FONT, padding=0, margin=4,
        ))  # fmt: skip

    def _right_axis(self) -> None:
        """The scale of the counters."""
        axis = LinearAxis(y_range_name=COUNTERS)
        self.figure.add_layout(axis, "right")
        theme.bare(self.figure)
        theme.counted(axis, ticks=3)
        self.figure.min_border_right = 30

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any]) -> None:
        """Show the columns of the table for a choice."""
        self.source.selected.indices = []
        value, mean, late, duplicates = (
            numbers(data[k]) for k in ("value", "mean", "late", "duplicates")
        )
        top = max(float(np.nanmax(np.concatenate([value, mean, [1e-9]]))), 1e-9)
        stamped = np.array([at is not None for at in data["restated"]], bool)
        self.source.data = {
            **{k: numbers(data[k]) for k in ("orders", "average")},
            "late": late, "duplicates": duplicates, "value": value, "mean": mean,
            "restated": [at and at.isoformat() for at in data["restated"]],
            **self.placed(data, choice["grain"]),
            "_late": np.where(late > 0, late, np.nan),
            "_duplicates": np.where(duplicates > 0, duplicates, np.nan),
            "_restated": np.where(stamped, np.maximum(value, 0) + top * 0.03, np.nan),
            "_stamp": [
                "" if at is None else f"<br>{_('restated {moment}', moment=words.moment(at))}"
                for at in data["restated"]
            ],
        }  # fmt: skip
        self.frame(choice)
        least = float(np.nanmin(np.concatenate([value, [0.0]])))
        self.figure.y_range.update(start=least * 1.06, end=top * 1.16)
        counted = max(float(np.max(late, initial=0)), float(np.max(duplicates, initial=0)), 1.0)
        scale = counted * ROOM / (top * 1.16)
        self.figure.extra_y_ranges[COUNTERS].update(start=least * 1.06 * scale, end=counted * ROOM)
        self.figure.right[0].visible = bool(late.any() or duplicates.any())

    def paint(self, series: str, unit: str) -> None:
        """Its colour is its own."""
