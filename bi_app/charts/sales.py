"""A figure of the sales over time, with the late events and duplicates of the same days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LinearAxis, Range1d, TapTool

from bi_app import words
from bi_app.charts import theme
from bi_app.charts.daily import DAY_MS
from bi_app.charts.people import FONT
from bi_app.charts.periods import FINER
from bi_app.words import N_, _

DRAWN = ("_middle", "_width", "value", "mean", "_late", "_duplicates", "_restated")
ROOM = 3.2  # the counters stay in the lower third, so that they do not hide the line
TIP = N_(
    "@_said<br><b>@value{0,0.[00]}</b><br><small>mean @mean{0,0.[00]}; @orders{0,0} orders<br>"
    "@late{0,0} late, @duplicates{0,0} duplicates@_stamp{safe}</small>"
)


class SalesOverTime:
    """Bars of the figure, its moving mean, and on the right scale the counters as marks.

    A restated day, week or month has a mark on top of its bar.
    """

    picks = "grain"

    def __init__(self, name: str) -> None:
        self.source = ColumnDataSource({key: [] for key in DRAWN}, name=name)
        plot = theme.bare_figure(
            height=320, min_border_left=46, x_range=Range1d(start=0, end=1),
            y_range=theme.from_zero(), x_axis_type="datetime", name=f"{name}_chart",
        )  # fmt: skip
        plot.extra_y_ranges = {"counters": theme.from_zero()}
        self.bars = plot.vbar(
            x="_middle", top="value", width="_width", source=self.source, line_color=None,
            fill_alpha=0.34, fill_color=theme.SERIES["checkouts"], nonselection_fill_alpha=0.34,
        )  # fmt: skip
        plot.line(x="_middle", y="mean", source=self.source, line_width=2.4,
                  line_color=theme.SERIES["checkouts"])  # fmt: skip
        self._counters(plot)
        plot.scatter(
            x="_middle", y="_restated", source=self.source, size=9, marker="inverted_triangle",
            fill_color=theme.SERIES["in_house_uses"], line_color=None, nonselection_fill_alpha=1,
            legend_label=_("restated"),
        )  # fmt: skip
        hover = theme.hover(renderers=[self.bars], mode="vline", point_policy="follow_mouse")
        theme.say(hover, _(TIP))
        plot.add_tools(hover, TapTool(renderers=[self.bars]))
        theme.counted(plot.yaxis[0])
        theme.dated(plot.xaxis[0])
        plot.legend.update(
            location="top_left", orientation="horizontal", background_fill_color=None,
            border_line_color=None, label_text_color=theme.MUTED, label_text_font_size="12px",
            label_text_font=FONT, padding=0, margin=4,
        )  # fmt: skip
        self.figure, self.figures = plot, [plot]

    def _counters(self, plot: Any) -> None:
        """Marks of late events and duplicates, and their scale at the right."""
        for key, colour, marker, label in (
            ("_late", "renewals", "circle", _("late")),
            ("_duplicates", "returns", "square", _("duplicates")),
        ):
            shared: dict[str, Any] = {"source": self.source, "y_range_name": "counters"}
            plot.segment(
                x0="_middle", x1="_middle", y0=0, y1=key, line_color=theme.SERIES[colour],
                line_width=1.4, nonselection_line_alpha=1, **shared,
            )  # fmt: skip
            plot.scatter(
                x="_middle", y=key, size=8, marker=marker, fill_color=theme.SERIES[colour],
                line_color=None, nonselection_fill_alpha=1, legend_label=label, **shared,
            )  # fmt: skip
        axis = LinearAxis(y_range_name="counters")
        plot.add_layout(axis, "right")
        theme.bare(plot)
        theme.counted(axis, ticks=3)
        plot.min_border_right = 30

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any]) -> None:
        """Show the columns of the table for a choice."""
        self.source.selected.indices = []
        low, high = _ms(data["start"]), _ms(data["end"]) + DAY_MS
        value, mean, late, duplicates = (
            _numbers(data[k]) for k in ("value", "mean", "late", "duplicates")
        )
        top = max(float(np.nanmax(np.concatenate([value, mean, [1e-9]]))), 1e-9)
        stamped = np.array([at is not None for at in data["restated"]], bool)
        self.source.data = {
            **{k: _numbers(data[k]) for k in ("orders", "average", "late", "duplicates")},
            "restated": [at and at.isoformat() for at in data["restated"]],
            "start": low, "end": high - DAY_MS, "value": value, "mean": mean,
            "_middle": (low + high) / 2, "_width": (high - low) * 0.86,
            "_said": _said(data, choice["grain"]),
            "_late": np.where(late > 0, late, np.nan),
            "_duplicates": np.where(duplicates > 0, duplicates, np.nan),
            "_restated": np.where(stamped, np.maximum(value, 0) + top * 0.03, np.nan),
            "_stamp": [
                "" if at is None else f"<br>{_('restated {moment}', moment=words.moment(at))}"
                for at in data["restated"]
            ],
        }  # fmt: skip
        start, end = _ms([choice["start"], choice["end"]])
        self.figure.x_range.update(start=start, end=end + DAY_MS)
        least = float(np.nanmin(np.concatenate([value, [0.0]])))
        self.figure.y_range.update(start=least * 1.06, end=top * 1.16)
        counted = max(float(np.max(late, initial=0)), float(np.max(duplicates, initial=0)), 1.0)
        scale = counted * ROOM / (top * 1.16)
        self.figure.extra_y_ranges["counters"].update(
            start=least * 1.06 * scale, end=counted * ROOM
        )
        self.figure.right[0].visible = bool(late.any() or duplicates.any())

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """What a click on a bar chooses: its days, by the next finer grain."""
        start, end = (
            str(np.datetime64(int(self.source.data[key][place]), "ms").astype("datetime64[D]"))
            for key in ("start", "end")
        )
        grain = FINER.get(choice["grain"], "day")
        return {"period": "custom", "start": start, "end": end, "grain": grain}

    def paint(self, series: str, unit: str) -> None:
        """Its colour is its own."""


def _numbers(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    return np.array([np.nan if v is None else v for v in values], float)


def _ms(days: Any) -> np.ndarray[Any, Any]:
    return np.array(days, "datetime64[D]").astype("int64") * float(DAY_MS)


def _said(data: Mapping[str, Sequence[Any]], grain: str) -> list[str]:
    """How a span is called."""
    if grain == "week":
        return [
            _("{first} to {last}", first=words.short_day(low), last=words.day(high))
            for low, high in zip(data["start"], data["end"], strict=True)
        ]
    write = words.full_month if grain == "month" else words.weekday_day
    return [write(day) for day in data["start"]]
