"""Lines over time, one a series; each ends in its name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, MultiLine, Range1d, Scatter, Text

from bi_app.charts import theme
from bi_app.charts.values import DAY_MS, milliseconds

COLOURS = (*theme.SERIES.values(), theme.MUTED)
MOST = len(COLOURS)
APART = 0.07  # of the height, between two names
ROOM = 0.14  # of the width, for the names


class Lines:
    """A chart of series by day: `show` takes {name: [(day, value)]}."""

    def __init__(self, name: str) -> None:
        self.points = ColumnDataSource(
            {k: [] for k in ("day", "value", "said", "series", "colour")}, name=name
        )
        self.lines = ColumnDataSource({"xs": [], "ys": [], "colour": []})
        self.ends = ColumnDataSource({"day": [], "value": [], "series": []})
        self.figure = theme.bare_figure(
            height=320, min_border_left=46, x_range=Range1d(start=0, end=1),
            y_range=theme.from_zero(), x_axis_type="datetime", name=f"{name}_chart",
        )  # fmt: skip
        theme.draw(
            self.figure,
            self.lines,
            MultiLine(xs="xs", ys="ys", line_color="colour", line_width=2.2),
        )
        dots = theme.draw(
            self.figure,
            self.points,
            Scatter(x="day", y="value", fill_color="colour", size=5, line_color=None),
        )
        theme.draw(
            self.figure,
            self.ends,
            Text(
                x="day",
                y="value",
                text="series",
                x_offset=8,
                text_baseline="middle",
                text_font_size="12px",
                text_color=theme.MUTED,
            ),
        )
        tool = theme.hover(renderers=[dots])
        theme.say(tool, "@said @series<br><b>@value{0,0.[00]}</b>")
        self.figure.add_tools(tool)
        theme.counted(self.figure.yaxis[0])
        self.figure.yaxis[0].ticker.min_interval = 0.1
        theme.dated(self.figure.xaxis[0])

    def show(self, series: Mapping[str, Sequence[tuple[dt.date, float | None]]], said: Any) -> None:
        """Show these series; `said` writes a day in the hover box."""
        drawn = list(series.items())[:MOST]
        known = [
            (name, [(d, v) for d, v in points if isinstance(d, dt.date) and v is not None], colour)
            for (name, points), colour in zip(drawn, COLOURS, strict=False)
        ]
        flat = [(d, v, name, c) for name, points, c in known for d, v in points]
        xs, ys = milliseconds([f[0] for f in flat]), np.array([f[1] for f in flat], float)
        self.points.data = {
            "day": xs, "value": ys, "said": [said(f[0]) for f in flat],
            "series": [f[2] for f in flat], "colour": [f[3] for f in flat],
        }  # fmt: skip
        self.lines.data = {
            "xs": [milliseconds([d for d, _ in points]).tolist() for _, points, _ in known],
            "ys": [[float(v) for _, v in points] for _, points, _ in known],
            "colour": [c for *_, c in known],
        }
        top, low = float(max(ys, default=1)), float(min(ys, default=0))
        self.figure.y_range.update(start=min(low, 0.0) * 1.06, end=max(top, 1e-9) * 1.06)
        first, last = (float(f(xs)) if len(xs) else 0.0 for f in (np.min, np.max))
        named = len(known) > 1
        width = max(last - first, DAY_MS)
        self.figure.x_range.update(
            start=first - width * 0.01, end=last + width * (ROOM if named else 0.01)
        )
        ends = [(p[-1][0], float(p[-1][1]), n) for n, p, _ in known if p] if named else []
        self.ends.data = _spread(ends, max(top, 1e-9))


def _spread(ends: Sequence[tuple[dt.date, float, str]], top: float) -> dict[str, Any]:
    """The names at the lines' ends, none over another."""
    placed: list[tuple[dt.date, float, str]] = []
    for day, value, name in sorted(ends, key=lambda e: e[1]):
        least = placed[-1][1] + top * APART if placed else value
        placed.append((day, max(value, least), name))
    names = [n if len(n) <= 16 else f"{n[:15]}…" for *_, n in placed]
    return {
        "day": milliseconds([d for d, *_ in placed]),
        "value": [v for _, v, _ in placed],
        "series": names,
    }
